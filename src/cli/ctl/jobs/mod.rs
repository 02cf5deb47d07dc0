//! `udpctl jobs`: lists of jobs that agents run or keep the results of.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

mod forget;
mod mine;
mod outstanding;

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::json;

use self::forget::Forget;
use super::args::{ContactTimeout, HostOptions};
use super::context::{Context, note, print};
use super::fleet::{Fleet, Round};
use super::job::command_line;
use super::reply::unexpected;
use crate::cli::ctl::candidates;
use crate::control::exec::summary::Fate;
use crate::control::host_resolver::Host;
use crate::control::query::{Answer, NoReply, Question};
use crate::control::targets::Expression;
use crate::escape;
use crate::message::status::INTERNAL;
use crate::message::{JobState, JobView, Reply, Request};

const EXAMPLES: &str = "\
Examples:
  udpctl jobs web1
  udpctl jobs --json web1 web2
  udpctl jobs --all web1
  udpctl jobs -g web -x web13
  udpctl jobs --mine
  udpctl jobs --mine --forget unanswered";

/// `udpctl jobs`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct JobsArgs {
    /// Agents: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set),
        required_unless_present_any = ["mine", "hosts", "group", "all_hosts", "hostfile"]
    )]
    pub targets: Vec<Expression>,
    /// Further hosts.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// List requests made from this machine that have no result yet, also those whose agent does not
    /// answer; without TARGET, at every agent
    #[arg(long)]
    pub mine: bool,
    /// With --mine, remove the request with the id JOB, or a unique prefix of it, from the list; with "unanswered", all that
    /// no agent answers about; a command that runs goes on
    #[arg(long, value_name = "JOB", requires = "mine", conflicts_with = "json",
          add = ArgValueCompleter::new(candidates::forgettable))]
    pub forget: Option<Forget>,
    /// List the jobs of all keys, with a column for the key; needs "admin" in the line of your key, or the agent's own
    /// user
    #[arg(long, conflicts_with = "mine")]
    pub all: bool,
    /// Print one JSON object per job
    #[arg(long)]
    pub json: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Asks all agents and prints one table, in the order of the targets.
pub fn run(args: &JobsArgs) -> Result<u8> {
    if args.mine {
        return mine::run(args);
    }
    let mut context = Context::new()?;
    let targets = context.targets(&args.targets, &args.hosts)?;
    let mut fleet = Fleet::open(&mut context, &targets)?;
    let hosts = fleet.hosts().to_vec();
    let questions = hosts.iter().map(|host| question(args, host.clone()));
    let mut round = Round::new(questions.collect());
    round.is_watched &= !args.json;
    let mut lists: Vec<Vec<JobView>> = vec![Vec::new(); hosts.len()];
    let mut unanswered = 0;
    fleet.ask(round, |count, index, label, answer| {
        match listed(label, answer) {
            Ok(jobs) => {
                count.add(Fate::Ok, label);
                lists[index] = jobs;
            }
            Err(error) => {
                unanswered += 1;
                count.no_reply(label, &error);
            }
        }
    });
    let mut rows = Vec::new();
    let mut text = String::new();
    for (host, jobs) in std::iter::zip(&hosts, &lists) {
        for job in jobs {
            if args.json {
                let object = object(&host.label, job).to_string();
                let _ = writeln!(text, "{}", escape::json(&object));
                continue;
            }
            let row = if args.all {
                format!("{}  {}", owner(job), row(job))
            } else {
                row(job)
            };
            rows.push((host.label.as_str(), row));
        }
    }
    // A heading alone would say that there are no jobs.
    if !args.json && unanswered < lists.len() {
        text = if fleet.is_several() {
            with_hosts(&rows, args.all)
        } else {
            table(&rows, args.all)
        };
    }
    print(&text)?;
    Ok(fleet.conclude(INTERNAL))
}

/// Returns the question for an agent.
pub fn question(args: &JobsArgs, host: Host) -> Question {
    Question {
        host,
        request: Request::Jobs { all: args.all },
        invite: None,
        contact_timeout: args.timeout.contact_timeout,
        retry_for: args.timeout.contact_timeout,
        finds_size: false,
    }
}

/// Returns the jobs in an answer, or the reason for its absence.
pub fn listed(label: &str, answer: Answer) -> Result<Vec<JobView>, NoReply> {
    match answer.reply? {
        Reply::Jobs { jobs, left_out } => {
            if left_out > 0 {
                note(&format!(
                    "udpctl: {label}: {left_out} older jobs are not listed"
                ));
            }
            Ok(jobs)
        }
        reply => Err(unexpected(&reply)),
    }
}

/// Formats the rows of one host below a heading.
fn table(rows: &[(&str, String)], all: bool) -> String {
    let mut text = format!("{}\n", heading(all));
    for (_, row) in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

/// Formats the rows of several hosts, with a column for the host.
pub fn with_hosts(rows: &[(&str, String)], all: bool) -> String {
    let hosts = rows.iter().map(|(host, _)| host.chars().count());
    let width = hosts.chain([HOST.len()]).max().unwrap_or_default();
    let mut text = format!("{HOST:width$}  {}\n", heading(all));
    for (host, row) in rows {
        let _ = writeln!(text, "{host:width$}  {row}");
    }
    text
}

/// Returns the heading of the columns behind the host.
fn heading(all: bool) -> String {
    if all {
        format!("{KEY:OWNER$}  {HEADING}")
    } else {
        HEADING.to_owned()
    }
}

/// Formats the owner of a job: the name of its key, or the key.
fn owner(job: &JobView) -> String {
    let key = job.key.map(|key| key.to_string()).unwrap_or_default();
    let name = job.name.as_deref().unwrap_or(&key);
    format!("{:OWNER$}", escape::line(name.as_bytes(), OWNER))
}

/// Heading of the column of keys.
const KEY: &str = "KEY";

/// Width of the column of keys.
const OWNER: usize = 16;

/// Heading of the column of hosts.
const HOST: &str = "HOST";

/// Bytes of a command line that are shown.
const COMMAND: usize = 200;

/// Heading of the other columns.
const HEADING: &str =
    "JOB                                  AGE        OUT        ERR  STATE, COMMAND";

fn row(job: &JobView) -> String {
    line(job, Some([job.stdout, job.stderr]), &state(job))
}

/// Formats a row. Lengths of `None`: the amount of output is unknown.
pub fn line(job: &JobView, lengths: Option<[u64; 2]>, state: &str) -> String {
    let [stdout, stderr] = lengths.map_or(["-".into(), "-".into()], |lengths| {
        lengths.map(|length| length.to_string())
    });
    format!(
        "{}  {:>6}  {stdout:>9}  {stderr:>9}  {state}, {}",
        job.id,
        age(job.age_ms),
        command_line(job, COMMAND)
    )
}

/// Returns a job's state, in words.
pub fn state(job: &JobView) -> String {
    match job.state {
        JobState::Running {} => "running".into(),
        JobState::Ended(outcome) if job.still_running => {
            format!("{outcome}, could not be killed and still runs")
        }
        JobState::Ended(outcome) => outcome.to_string(),
    }
}

/// Formats an age in its largest unit.
pub fn age(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5999 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

/// Returns the JSON object of a job.
pub fn object(label: &str, job: &JobView) -> serde_json::Value {
    let mut object = serde_json::to_value(job).expect("a job has string keys only");
    object["v"] = json!(crate::message::VERSION);
    object["host"] = json!(label);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Outcome, RequestId};

    #[test]
    fn a_row_shows_a_job_on_one_escaped_line() {
        let job = JobView {
            id: RequestId([0xab; 16]),
            argv: vec!["sh".into(), "-c".into(), "echo \x1b[31m".into()],
            age_ms: 90_000,
            state: JobState::Ended(Outcome::TimedOut {}),
            stdout: 5,
            stderr: 0,
            still_running: false,
            key: None,
            name: None,
        };
        assert_eq!(
            row(&job),
            "abababababababababababababababab     90s          5          0  timed out, \
             sh -c 'echo \\u{1b}[31m'"
        );
        assert_eq!(HEADING.find("STATE"), row(&job).find("timed"));
    }

    #[test]
    fn rows_of_several_hosts_begin_with_a_column_of_hosts() {
        let rows = [("web1:7000", "1st".to_owned()), ("db", "2nd".to_owned())];
        let text = with_hosts(&rows, false);
        let starts: Vec<_> = text.lines().map(|line| &line[..11]).collect();
        assert_eq!(starts, ["HOST       ", "web1:7000  ", "db         "]);
    }

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        for (millis, text) in [
            (0, "0s"),
            (99_000, "99s"),
            (120_000, "2m"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(age(millis), text);
        }
    }
}
