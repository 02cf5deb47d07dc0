//! `udpctl attach`: the rest of the output of a job, and its result; or that of all jobs of a run.

mod whole_run;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::context::{is_watched, note, streams};
use super::exec::{conclude_one, explain};
use super::job::{JobArgs, JobHost};
use crate::control::exec::{
    self, ATTACH, Finish, Fleet, Goal, JobRequest, Recorder, Settings, Style, Surroundings, Task,
    TaskHost, TerminalMode, Terminals, Verbosity,
};
use crate::control::journal::{self, Keeping, Known, Offsets, Plan};
use crate::control::{console, limits, signals};
use crate::crypto::PublicKey;
use crate::duration;
use crate::message::{Held, OsText, RequestId};

const EXAMPLES: &str = "\
Examples:
  udpctl attach web1
  udpctl attach web1 3f2a
  udpctl attach --from 0 web1 3f2a >build.log
  udpctl attach --run last";

/// `udpctl attach`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AttachArgs {
    /// The job.
    #[command(flatten)]
    pub job: JobArgs,
    /// Collect what the last run that was killed or left has not written: the rest of the outputs of all its hosts and
    /// their results
    #[arg(long, value_name = "RUN", conflicts_with_all = ["target", "job", "all", "from"])]
    pub run: Option<RunName>,
    /// Start at byte OFFSET of both outputs [default: the first byte not yet written out]
    #[arg(long, value_name = "OFFSET")]
    pub from: Option<u64>,
    /// Print one JSON object instead of the output
    #[arg(long)]
    pub json: bool,
    /// Keep retrying a silent agent for TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s",
          env = "UDPCTL_LEASE", hide_env_values = true)]
    pub lease: Duration,
    /// Report the outcome on standard error even if the command succeeded, and which of several addresses answered
    #[arg(short, long)]
    pub verbose: bool,
    /// Command line that comes back to the job.
    #[arg(skip = ATTACH)]
    pub way_back: &'static str,
}

/// Run of the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RunName {
    /// The newest run that has ended and has something to collect
    Last,
}

/// Attaches to the job, or to all jobs of a run, until they end.
pub fn run(args: &AttachArgs) -> Result<u8> {
    if let Some(RunName::Last) = args.run {
        return whole_run::run(args);
    }
    let mut job_host = JobHost::find(&args.job)?;
    job_host.is_watched &= !args.json;
    let (id, key) = job_host.job(&args.job)?;
    run_on(args, job_host, id, key)
}

/// Attaches to a job until it ends.
pub fn run_on(
    args: &AttachArgs,
    job_host: JobHost,
    id: RequestId,
    key: Option<PublicKey>,
) -> Result<u8> {
    let terminal_mode = if console::is_interactive() && !args.json {
        TerminalMode::Offered
    } else {
        TerminalMode::Apart
    };
    // Until here a signal ends the program, also while the agent is asked for the job and does not answer.
    let signals = match terminal_mode {
        TerminalMode::Offered => signals::catch_with_terminal(&[])?,
        TerminalMode::Apart => signals::catch(&[])?,
    };
    let label = job_host.host.label.clone();
    let history = job_host.journal.history();
    let before = history.find(id, &job_host.host.agent);
    let offsets = first_offsets(args, before);
    warn_of_repeats(&label, id, offsets);
    let task = Task {
        label: label.clone(),
        host: TaskHost::Found(Ok(job_host.host.clone())),
        request: request(id, offsets, key, terminal_mode == TerminalMode::Offered),
    };
    let plan = Plan {
        argv: before.map_or_else(|| vec![OsText::from("?")], |before| before.argv.clone()),
        keeping: Keeping::UntilSettled,
        known: Known::Before,
        requests: vec![Some(journal::Request {
            id,
            host: label,
            agent: job_host.host.agent,
            offsets,
        })],
    };
    let journal = job_host.journal.begin(plan).map_or_else(
        |error| {
            note(&format!(
                "udpctl: the request is not recorded in the journal: {error}"
            ));
            None
        },
        Some,
    );
    let surroundings = Surroundings {
        resolver: Some(&job_host.resolver),
        recorder: journal.map(Recorder::of),
        ..Surroundings::new(&job_host.client, streams()?, &signals)
    };
    let style = if args.json {
        Style::Json(limits::CAPTURE)
    } else {
        Style::Plain
    };
    let settings = settings(args, terminal_mode, style);
    let finish = exec::run(vec![task], settings, surroundings);
    job_host.client.close();
    note_offset_beyond(args, &job_host.host.label, &finish);
    explain(&job_host.host.label, &finish);
    Ok(conclude_one(&finish))
}

/// Says that the output ends before the offset from which it was requested.
fn note_offset_beyond(args: &AttachArgs, label: &str, finish: &Finish) {
    if let (Some(from), Some(report)) = (args.from, &finish.report)
        && report
            .outcome
            .is_some_and(|outcome| outcome.row().held == Held::Result)
        && report.lengths.iter().all(|&length| length < from)
    {
        let [stdout, stderr] = report.lengths;
        note(&format!(
            "udpctl: {label}: --from {from} is beyond the output, which has {stdout} bytes of stdout and {stderr} of stderr"
        ));
    }
}

/// Returns the request for the rest of a job's outputs.
fn request(
    id: RequestId,
    offsets: [Offsets; 2],
    key: Option<PublicKey>,
    keyboard: bool,
) -> JobRequest {
    let first = |offsets: Offsets| (offsets != Offsets::UNKNOWN).then_some(offsets.written);
    JobRequest::Attach {
        id,
        stdout: first(offsets[0]),
        stderr: first(offsets[1]),
        key,
        keyboard,
    }
}

/// Offsets of both outputs from which the job's output is requested.
fn first_offsets(args: &AttachArgs, before: Option<&journal::Record>) -> [Offsets; 2] {
    match (args.from, before) {
        (Some(from), _) => [Offsets::at(from); 2],
        (None, Some(before)) if before.state.is_open() => before.offsets,
        (None, _) => [Offsets::UNKNOWN; 2],
    }
}

/// Names the outputs of which some bytes may appear twice.
fn warn_of_repeats(label: &str, id: RequestId, offsets: [Offsets; 2]) {
    for (name, offsets) in std::iter::zip(["stdout", "stderr"], offsets) {
        if offsets.in_doubt() > 0 {
            note(&format!(
                "udpctl: {label}: the previous controller ended during a write, so up to {} bytes of {name} may \
                 appear twice; request {id}",
                offsets.in_doubt()
            ));
        }
    }
}

fn settings(args: &AttachArgs, terminal_mode: TerminalMode, style: Style) -> Settings {
    Settings {
        goal: Goal::Result,
        contact_timeout: args.job.timeout.contact_timeout,
        retry_for: args.lease,
        style,
        stdin: false,
        terminal_mode,
        escape: console::Escape::default(),
        way_back: args.way_back,
        forward: Vec::new(),
        verbosity: if args.verbose {
            Verbosity::Verbose
        } else {
            Verbosity::Quiet
        },
        fleet: Fleet {
            terminals: Terminals {
                stderr: is_watched(),
                ..Terminals::default()
            },
            ..Fleet::default()
        },
    }
}
