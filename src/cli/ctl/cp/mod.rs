//! `udpctl cp`: copies files and directories to hosts or from them.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

mod descriptors;
mod direction;
mod objects;
mod place;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use self::descriptors::most_hosts;
use self::direction::{Copying, copying};
use super::args::{ContactTimeout, HostOptions};
use super::candidates;
use super::context::{Context, FleetNetwork, note, print, streams};
use super::exec::{conclude, explain, terminals};
use super::family::Family;
use crate::agent::services::OUT_OF_SCOPE;
use crate::control::console::Escape;
use crate::control::copy::{self, CopyConfig, HostResult};
use crate::control::exec::{
    self, Escaping, Finish, Fleet, Goal, Interruption, JobRequest, Labels, Settings, Style,
    Surroundings, Task, TaskHost, TerminalMode, Verbosity,
};
use crate::control::targets::TargetsError;
use crate::control::window::Places;
use crate::control::{limits, signals};
use crate::duration;
use crate::message::{CopyFiles, Exec, Fate, RequestId, status};
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl cp notes.txt web1:/srv/notes/
  udpctl cp -rp site web1:/srv/
  udpctl cp web1:/var/log/syslog web1:.profile logs/
  udpctl cp motd 'web[01-40]:/etc/motd'
  udpctl cp -g web app.tar :/tmp/
  udpctl cp -g web :/etc/hostname names/
  udpctl cp --json -g web app.tar :/tmp/ | jq -r 'select(.complete | not).host'";

/// `udpctl cp`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, override_usage = "udpctl cp [OPTIONS] <PLACE> <PLACE>...")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct CpArgs {
    /// Sources and, last, the destination: PATH of this machine, or HOST:PATH, HOST:PORT:PATH, USER@HOST:PATH with a host
    /// or a set of them; :PATH with hosts that options name
    #[arg(value_name = "PLACE", required = true, num_args = 1.., add = ArgValueCompleter::new(candidates::place))]
    pub places: Vec<OsString>,
    /// Copy directories with all that is in them
    #[arg(short = 'r', long)]
    pub recursive: bool,
    /// Keep permissions and times of change
    #[arg(short = 'p', long)]
    pub preserve: bool,
    /// Hosts of places without one.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Time limit of the first answer.
    #[command(flatten)]
    pub contact: ContactTimeout,
    /// Read and write on the hosts as the user NAME, if the agent allows this key to
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// End the copy to or from a host after TIME [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Copy to or from at most N hosts at a time [default: 256, and up to 1024 where copies take long]
    #[arg(short = 'f', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub fanout: Option<u32>,
    /// Report what was copied on standard error
    #[arg(short, long)]
    pub verbose: bool,
    /// Print one JSON object per host at the end
    #[arg(long)]
    pub json: bool,
}

/// Copies and returns the exit status, also after a failure on this machine in a run over several hosts.
pub fn run(args: &CpArgs) -> Result<u8> {
    let copying = match copying(args) {
        Ok(copying) => copying,
        Err(error) if error.is::<TargetsError>() => return Err(error),
        Err(error) => {
            note(&format!("udpctl: {error:#}"));
            return Ok(status::USAGE);
        }
    };
    let context = Context::new()?;
    let targets = context.targets(&copying.sets, &args.hosts)?;
    match run_on(args, &copying, context, &targets) {
        Err(error) if targets.len() > 1 => {
            note(&format!("udpctl: {error:#}"));
            Ok(status::INTERNAL)
        }
        result => result,
    }
}

fn run_on(
    args: &CpArgs,
    copying: &Copying,
    mut context: Context,
    targets: &[Target],
) -> Result<u8> {
    let labels: Vec<String> = targets
        .iter()
        .map(|target| target.label().to_owned())
        .collect();
    let Some(plan) = copying.plan(args, &labels)? else {
        // No source can be read, and each was named.
        return Ok(status::INTERNAL);
    };
    let signals = signals::catch(&[])?;
    let FleetNetwork {
        client,
        resolver,
        hosts,
    } = context.fleet_network(targets, Family::Any)?;
    let tasks = tasks(args, copying, &mut context, targets, hosts)?;
    let (exchange, thread) = copy::start(CopyConfig {
        plan,
        hosts: tasks.len(),
        is_watched: std::io::stderr().is_terminal(),
        is_listed: args.json,
    })?;
    let surroundings = Surroundings {
        resolver: Some(&resolver),
        exchange: Some(exchange),
        ..Surroundings::new(&client, streams()?, &signals)
    };
    let finish = exec::run(tasks, settings(args, labels.len()), surroundings);
    if labels.len() > 1
        && let Some(drops) = client.drops()
    {
        note(&format!("udpctl: {drops}"));
    }
    client.close();
    // Who leaves does not wait for a file.
    let within = finish.interruption.map(|_| limits::LEAVE);
    let results = thread.results(within);
    let results = results.unwrap_or_else(|| vec![HostResult::default(); labels.len()]);
    if args.json && finish.interruption != Some(Interruption::BrokenPipe) {
        print(&objects::lines(&finish.objects, &results))?;
    }
    Ok(conclusion(args, &labels, finish, &results))
}

/// Returns the tasks of the targets, each with a request of its own.
fn tasks(
    args: &CpArgs,
    copying: &Copying,
    context: &mut Context,
    targets: &[Target],
    hosts: Vec<TaskHost>,
) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for (target, host) in std::iter::zip(targets, hosts) {
        let mut user = args.user.clone().or_else(|| copying.user.clone());
        if user.is_none() {
            user = context.inventory(&[], |inventory| {
                Ok(inventory.user_of(target)?.map(str::to_owned))
            })?;
        }
        let exec: Exec = CopyFiles {
            id: RequestId(context.rng.bytes()),
            work: copying.work(args),
            user,
            timeout_ms: args.timeout.map(duration::millis),
            lease_ms: Some(duration::millis(limits::RETRY_FOR)),
            age_ms: 0,
        }
        .into();
        tasks.push(Task {
            label: target.label().to_owned(),
            host,
            request: JobRequest::Exec(exec),
        });
    }
    Ok(tasks)
}

/// Translates options into settings of the run.
fn settings(args: &CpArgs, hosts: usize) -> Settings {
    let places = args
        .fanout
        .map(|fanout| Places::fixed(usize::try_from(fanout).unwrap_or(hosts)));
    Settings {
        goal: Goal::Result,
        contact_timeout: args.contact.contact_timeout,
        retry_for: limits::RETRY_FOR,
        style: if args.json {
            Style::Json(limits::CAPTURE_COPY)
        } else {
            Style::Labelled(Labels {
                escaping: Escaping::Escape,
                is_named: true,
                width: 0,
            })
        },
        stdin: false,
        terminal_mode: TerminalMode::Apart,
        escape: Escape::default(),
        way_back: exec::ATTACH,
        forward: Vec::new(),
        verbosity: Verbosity::Quiet,
        fleet: Fleet {
            places: places.unwrap_or_default().at_most(most_hosts()),
            terminals: terminals(),
            ..Fleet::default()
        },
    }
}

/// Reports what was copied and returns the exit status.
fn conclusion(args: &CpArgs, labels: &[String], mut finish: Finish, results: &[HostResult]) -> u8 {
    for (index, (label, result)) in std::iter::zip(labels, results).enumerate() {
        let HostResult {
            is_complete,
            counts,
            ..
        } = result;
        if args.verbose {
            let (files, bytes) = (counts.files, counts.bytes);
            let plural = if files == 1 { "" } else { "s" };
            note(&format!(
                "udpctl: {label}: {files} file{plural}, {bytes} bytes"
            ));
        }
        // The agent's side alone does not decide.
        if !is_complete && finish.fates[index] == Fate::Ok {
            note(&format!("udpctl: {label}: the copy is not complete"));
            finish.fates[index] = Fate::Failed;
        }
    }
    let is_complete = results.iter().all(|result| result.is_complete);
    let status = conclude(labels, &finish);
    if let [label] = labels {
        explain(label, &finish);
    }
    match (labels, status) {
        (_, status::SUCCESS) if !is_complete => status::INTERNAL,
        // What the agent's side ends with for its log: an item was not copied, as any other.
        ([_], OUT_OF_SCOPE) => status::INTERNAL,
        (_, status) => status,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::ctl::{Command, Ctl};
    use crate::control::exec::Report;
    use crate::copy::Counts;
    use crate::message::Outcome;

    fn args(line: &[&str]) -> CpArgs {
        let ctl = Ctl::try_parse_from(["udpctl", "cp"].iter().chain(line)).unwrap();
        match ctl.command {
            Command::Cp(args) => *args,
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn an_agent_that_calls_a_copy_complete_is_not_believed() {
        let args = args(&["f", "web:"]);
        let status = |labels: &[&str], is_complete| {
            let labels: Vec<String> = labels.iter().map(|&label| label.into()).collect();
            let outcome = Some(Outcome::Exited { code: 0 });
            let finish = Finish {
                fates: vec![Fate::Ok; labels.len()],
                report: Some(Report::new(RequestId([0; 16]), outcome)),
                ..Finish::default()
            };
            let counts = Counts::default();
            let result = |is_complete| HostResult {
                is_complete,
                counts,
                ..HostResult::default()
            };
            let mut results = vec![result(true); labels.len()];
            results[0] = result(is_complete);
            conclusion(&args, &labels, finish, &results)
        };
        assert_eq!(status(&["web"], true), 0);
        assert_eq!(status(&["web"], false), 1);
        assert_eq!(status(&["a", "b"], true), 0);
        assert_eq!(status(&["a", "b"], false), status::SOME_FAILED);
    }

    #[test]
    fn options_may_name_the_hosts_of_a_destination() {
        let copying = |line: &[&str]| copying(&args(line)).map(|copying| copying.sets.len());
        assert_eq!(copying(&["-w", "web", "f", "/srv"]).unwrap(), 0);
        assert_eq!(copying(&["-g", "web", "f", ":/srv"]).unwrap(), 0);
        assert_eq!(copying(&["-g", "web", ":/srv/f", "."]).unwrap(), 0);
        assert_eq!(copying(&["a:f", "a:g", "."]).unwrap(), 1);
        let long = format!("a:{}", "x".repeat(17_000));
        for line in [
            &["f", "d"][..],
            &["a:f"],
            &["-w", "web", "f"],
            &["f", ":d"],
            &["a:f", "b:g", "."],
            &["a:f", "b:d"],
            &["a:f", "g", "."],
            &["--user", "ann", "f", "bob@a:"],
            &["f", &long],
        ] {
            assert!(copying(line).is_err(), "{line:?}");
        }
    }
}
