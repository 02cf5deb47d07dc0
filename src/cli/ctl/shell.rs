//! `udpctl shell`: a login shell on a terminal, which is kept when its user leaves, and the way back to it.
//!
//! `udpctl exec -t` runs it, and `udpctl attach` comes back to it. Invariant: without a request id, only a shell that this
//! subcommand started on this machine is attached to.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::args::ContactTimeout;
use super::attach::{self, AttachArgs};
use super::candidates;
use super::context::note;
use super::exec::{self, Gone, exec_args};
use super::job::{JobArgs, JobHost, JobPrefix, unique};
use super::jobs::{age, state};
use super::ssh::login;
use crate::control::journal::Past;
use crate::duration;
use crate::message::{JobState, JobView, OsText, RequestId, status};
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl shell web1
  udpctl shell --user deploy web1:7001
  udpctl shell --attach web1";

/// Command line that comes back to a shell.
const WAY_BACK: &str = "udpctl shell --attach";

/// Name of the shell's command in the journal, and in messages of `/bin/sh`.
const NAME: &str = "udpctl-shell";

/// `udpctl shell`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ShellArgs {
    /// Host: HOST, HOST:PORT or [IPv6]:PORT; the default port is 7000
    #[arg(value_name = "TARGET", add = ArgValueCompleter::new(candidates::host))]
    pub target: Target,
    /// With --attach, request id of the shell or a unique prefix of it [default: the only one that was started on this
    /// machine and is still there]
    #[arg(value_name = "JOB", requires = "attach", add = ArgValueCompleter::new(candidates::job))]
    pub job: Option<JobPrefix>,
    /// Come back to a shell that was left: draw its screen and connect the keyboard again
    #[arg(long)]
    pub attach: bool,
    /// Run as the user NAME of the host, if the agent allows this key to
    #[arg(long, value_name = "NAME", conflicts_with = "attach")]
    pub user: Option<String>,
    /// Choose what happens to the shell when the controller disappears
    #[arg(
        long,
        value_name = "ACTION",
        default_value = "keep",
        conflicts_with = "attach"
    )]
    pub on_disconnect: Gone,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
    /// Keep retrying a silent agent for TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s",
          env = "UDPCTL_LEASE", hide_env_values = true)]
    pub lease: Duration,
    /// Report the outcome on standard error even if the shell succeeded, and which of several addresses answered
    #[arg(short, long)]
    pub verbose: bool,
}

/// Runs a shell, or attaches to one, and returns its exit status.
pub fn run(args: &ShellArgs) -> Result<u8> {
    if args.attach {
        return attach(args);
    }
    let mut exec = exec_args(&args.target, login(NAME))?;
    exec.terminal = true;
    exec.user.clone_from(&args.user);
    exec.on_disconnect = args.on_disconnect;
    exec.contact.timeout = args.timeout;
    exec.lease = args.lease;
    exec.verbose = args.verbose;
    exec.caller.way_back = WAY_BACK;
    exec::run(&exec)
}

/// Comes back to a shell.
fn attach(args: &ShellArgs) -> Result<u8> {
    let args = AttachArgs {
        job: JobArgs {
            target: Some(args.target.clone()),
            job: args.job.clone(),
            all: false,
            timeout: args.timeout,
        },
        run: None,
        from: None,
        json: false,
        lease: args.lease,
        verbose: args.verbose,
        way_back: WAY_BACK,
    };
    let job_host = JobHost::find(&args.job)?;
    if args.job.job.is_some() {
        let (id, key) = job_host.job(&args.job)?;
        return attach::run_on(&args, job_host, id, key);
    }
    let jobs = job_host.jobs(&args.job)?;
    let label = job_host.host.label.clone();
    match choose(&jobs, &started_here(&job_host))[..] {
        [job] => attach::run_on(&args, job_host, job.id, None),
        [] => bail!(
            "{label}: no shell of \"udpctl shell\" on this machine is there; \"udpctl jobs {label}\" lists all jobs"
        ),
        ref several => {
            note(&list(&label, several));
            Ok(status::USAGE)
        }
    }
}

/// Returns the shells that were started on this machine and have no result here, true if a `udpctl` is attached.
fn started_here(job_host: &JobHost) -> HashMap<RequestId, bool> {
    let argv: Vec<OsText> = login(NAME).into_iter().map(OsText::from).collect();
    let mut shells = HashMap::new();
    for record in job_host.journal.runs().iter().flat_map(Past::records) {
        let is_shell = record.argv == argv && record.agent == job_host.host.agent;
        if is_shell && record.state.is_open() {
            *shells.entry(record.id).or_insert(false) |= record.live;
        }
    }
    shells
}

/// Returns the jobs that may be meant: the shells that run and are not in use; else those that run; else those that have
/// ended and still have a result to collect.
fn choose<'a>(jobs: &'a [JobView], shells: &HashMap<RequestId, bool>) -> Vec<&'a JobView> {
    let of = |is_running: bool, is_attached: bool| {
        let is_meant = |job: &&JobView| {
            shells.get(&job.id) == Some(&is_attached)
                && (job.state == JobState::Running {}) == is_running
        };
        jobs.iter().filter(is_meant).collect::<Vec<_>>()
    };
    let mut choices = [(true, false), (true, true), (false, false)].into_iter();
    choices
        .find_map(|(is_running, is_attached)| {
            Some(of(is_running, is_attached)).filter(|found| !found.is_empty())
        })
        .unwrap_or_default()
}

/// Returns a message with the command line for each of several shells, the newest first.
fn list(label: &str, shells: &[&JobView]) -> String {
    let mut text = format!(
        "udpctl: {label}: {} shells could be meant; name one of them:",
        shells.len()
    );
    for job in shells.iter().rev() {
        let id = job.id.to_string();
        let id = &id[..unique(&id, shells)];
        let _ = write!(
            text,
            "\n  {WAY_BACK} {label} {id}   {}, started {} ago",
            state(job),
            age(job.age_ms)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Outcome;

    fn job(byte: u8, state: JobState) -> JobView {
        JobView {
            id: RequestId([byte; 16]),
            argv: Vec::new(),
            age_ms: 5000,
            state,
            stdout: 0,
            stderr: 0,
            still_running: false,
            key: None,
            name: None,
        }
    }

    #[test]
    fn a_shell_that_runs_and_is_not_in_use_is_meant_before_others() {
        let ended = JobState::Ended(Outcome::Exited { code: 0 });
        let running = JobState::Running {};
        let jobs = [job(1, running), job(2, running), job(3, ended)];
        for (shells, meant) in [
            (&[(1, false), (2, false), (3, false)][..], &[1, 2][..]),
            (&[(1, true), (2, false), (3, false)], &[2]),
            (&[(1, true), (3, false)], &[1]),
            (&[(3, false), (4, false)], &[3]),
            (&[], &[]),
        ] {
            let shells = shells
                .iter()
                .map(|&(byte, is_attached)| (RequestId([byte; 16]), is_attached))
                .collect();
            let found = choose(&jobs, &shells);
            let found: Vec<u8> = found.iter().map(|job| job.id.0[0]).collect();
            assert_eq!(found, meant);
        }
    }

    #[test]
    fn several_shells_are_listed_with_the_line_that_comes_back_to_each() {
        let jobs = [1, 2].map(|byte| job(byte, JobState::Running {}));
        assert_eq!(
            list("web1:7000", &[&jobs[0], &jobs[1]]),
            "udpctl: web1:7000: 2 shells could be meant; name one of them:\n  \
             udpctl shell --attach web1:7000 02020202   running, started 5s ago\n  \
             udpctl shell --attach web1:7000 01010101   running, started 5s ago"
        );
    }
}
