//! `udpctl jobs`: what agents run, or keep the results of.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::args::JobsArgs;
use super::ask::{unexpected, words};
use super::context::{Controller, note, print};
use crate::control::client::Host;
use crate::control::exec::summary::{Fate, Tally};
use crate::control::query::{Answer, Question, run_queries};
use crate::escape;
use crate::message::{JobState, JobView, Reply, Request};

/// Lists jobs.
pub fn jobs(args: &JobsArgs) -> Result<u8> {
    if args.mine {
        return super::mine::mine(args);
    }
    let mut controller = Controller::new()?;
    let client = controller.link()?;
    let resolver = controller.resolver()?;
    let mut tally = Tally::default();
    let mut questions = Vec::new();
    for (target, host) in std::iter::zip(&args.targets, resolver.find(&args.targets, &client)) {
        match host {
            Ok(host) => questions.push(question(args, host)),
            Err(error) => {
                note(&format!("udpctl: {}: {error}", target.label()));
                tally.add(Fate::Unreachable, target.label());
            }
        }
    }
    let labels: Vec<String> = questions
        .iter()
        .map(|question| question.host.label.clone())
        .collect();
    let several = args.targets.len() > 1;
    let mut rows = Vec::new();
    let mut text = String::new();
    run_queries(&client, Some(&resolver), questions, |index, answer| {
        let label = &labels[index];
        match listed(answer) {
            Ok(jobs) => {
                tally.add(Fate::Ok, label);
                for job in jobs {
                    if args.json {
                        let _ = writeln!(text, "{}", object(label, &job));
                    } else {
                        rows.push((label.as_str(), row(&job)));
                    }
                }
            }
            Err(error) => {
                tally.add(Fate::Lost, label);
                note(&format!("udpctl: {label}: {error}"));
            }
        }
    });
    client.close();
    if !args.json {
        text = if several {
            with_hosts(&rows)
        } else {
            table(&rows)
        };
    }
    print(&text)?;
    Ok(u8::from(tally.exit_status() != 0))
}

/// What an agent is asked.
pub fn question(args: &JobsArgs, host: Host) -> Question {
    Question {
        host,
        request: Request::Jobs {},
        invite: None,
        contact_timeout: args.contact_timeout,
        retry_for: args.contact_timeout,
    }
}

/// What it says, or why it does not.
pub fn listed(answer: Answer) -> Result<Vec<JobView>, String> {
    match answer.reply {
        Ok(Reply::Jobs { jobs }) => Ok(jobs),
        Ok(reply) => Err(words(&unexpected(&reply))),
        Err(error) => Err(words(&error)),
    }
}

/// Rows of one host, below their heading.
fn table(rows: &[(&str, String)]) -> String {
    let mut text = format!("{HEADING}\n");
    for (_, row) in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

/// Rows of several hosts, each behind its own.
pub fn with_hosts(rows: &[(&str, String)]) -> String {
    let hosts = rows.iter().map(|(host, _)| host.chars().count());
    let width = hosts.chain([HOST.len()]).max().unwrap_or_default();
    let mut text = format!("{HOST:width$}  {HEADING}\n");
    for (host, row) in rows {
        let _ = writeln!(text, "{host:width$}  {row}");
    }
    text
}

const HOST: &str = "HOST";

/// Above the rows.
const HEADING: &str =
    "JOB                                  AGE        OUT        ERR  STATE, COMMAND";

/// What of a command line is shown.
const COMMAND: usize = 200;

fn row(job: &JobView) -> String {
    line(job, Some([job.stdout, job.stderr]), &state(job))
}

/// A row. `None`: how much it wrote is not known.
pub fn line(job: &JobView, lengths: Option<[u64; 2]>, state: &str) -> String {
    let [stdout, stderr] = lengths.map_or(["-".into(), "-".into()], |lengths| {
        lengths.map(|length| length.to_string())
    });
    format!(
        "{}  {:>6}  {stdout:>9}  {stderr:>9}  {state}, {}",
        job.id,
        age(job.age_ms),
        command(job)
    )
}

/// Where it is, in words.
pub fn state(job: &JobView) -> String {
    match job.state {
        JobState::Running {} => "running".into(),
        JobState::Ended(outcome) => outcome.to_string(),
    }
}

/// As a shell would be given it.
fn command(job: &JobView) -> String {
    let words: Vec<_> = job
        .argv
        .iter()
        .map(|word| {
            let word = word.as_os_str().to_string_lossy();
            shlex::try_quote(&word).map_or_else(|_| word.to_string(), std::borrow::Cow::into_owned)
        })
        .collect();
    escape::line(words.join(" ").as_bytes(), COMMAND).into_owned()
}

fn age(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5999 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

/// The JSON object of a job.
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
    fn a_job_is_a_line() {
        let job = JobView {
            id: RequestId([0xab; 16]),
            argv: vec!["sh".into(), "-c".into(), "echo \x1b[31m".into()],
            age_ms: 90_000,
            state: JobState::Ended(Outcome::TimedOut {}),
            stdout: 5,
            stderr: 0,
        };
        assert_eq!(
            row(&job),
            "abababababababababababababababab     90s          5          0  timed out, \
             sh -c 'echo \\u{1b}[31m'"
        );
        assert_eq!(HEADING.find("STATE"), row(&job).find("timed"));
    }

    #[test]
    fn hosts_stand_in_a_column_of_their_own() {
        let rows = [("web1:7000", "1st".to_owned()), ("db", "2nd".to_owned())];
        let text = with_hosts(&rows);
        let starts: Vec<_> = text.lines().map(|line| &line[..11]).collect();
        assert_eq!(starts, ["HOST       ", "web1:7000  ", "db         "]);
    }

    #[test]
    fn ages_are_short() {
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
