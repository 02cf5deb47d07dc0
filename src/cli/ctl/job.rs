//! `udpctl jobs`, `attach`, `wait` and `kill`: commands that run or ran already.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::args::{AttachArgs, JobArgs, JobsArgs, KillArgs, WaitArgs};
use super::ask::{unexpected, words};
use super::context::{Controller, note, print};
use super::exec::conclude;
use crate::control::ask::{Answer, Question, ask};
use crate::control::exec::summary::{self, Fate, Tally};
use crate::control::exec::{Goal, Opening, Report, Seat, Settings, Style, Task, Verbosity, run};
use crate::control::link::{Directory, Host, Link};
use crate::control::{console, limits, signals};
use crate::escape;
use crate::message::{JobState, JobView, Reply, Request, RequestId};

/// The beginning of a request id, or all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobPrefix(String);

impl FromStr for JobPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err("a request id is 32 hexadecimal digits, or fewer where they tell it apart");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// Lists jobs.
pub fn jobs(args: &JobsArgs) -> Result<u8> {
    let mut controller = Controller::new()?;
    let link = controller.link()?;
    let directory = controller.directory()?;
    let mut tally = Tally::default();
    let mut questions = Vec::new();
    for (target, host) in std::iter::zip(&args.targets, directory.find(&args.targets, &link)) {
        match host {
            Ok(host) => questions.push(Question {
                host,
                request: Request::Jobs {},
                invite: None,
                contact_timeout: args.contact_timeout,
                patience: args.contact_timeout,
            }),
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
    let mut text = String::new();
    if !args.json {
        let _ = writeln!(text, "{HEADING}");
    }
    ask(&link, Some(&directory), questions, |index, answer| {
        let label = &labels[index];
        match listed(answer) {
            Ok(jobs) => {
                tally.add(Fate::Ok, label);
                for job in jobs {
                    let line = if args.json {
                        object(label, &job).to_string()
                    } else if several {
                        format!("{label}: {}", row(&job))
                    } else {
                        row(&job)
                    };
                    let _ = writeln!(text, "{line}");
                }
            }
            Err(error) => {
                tally.add(Fate::Lost, label);
                note(&format!("udpctl: {label}: {error}"));
            }
        }
    });
    link.close();
    print(&text)?;
    Ok(u8::from(tally.exit_status() != 0))
}

fn listed(answer: Answer) -> Result<Vec<JobView>, String> {
    match answer.reply {
        Ok(Reply::Jobs { jobs }) => Ok(jobs),
        Ok(reply) => Err(words(&unexpected(&reply))),
        Err(error) => Err(words(&error)),
    }
}

const HEADING: &str =
    "JOB                                  AGE        OUT        ERR  STATE, COMMAND";

/// What of a command line is shown.
const COMMAND: usize = 200;

fn row(job: &JobView) -> String {
    format!(
        "{}  {:>6}  {:>9}  {:>9}  {}, {}",
        job.id,
        age(job.age_ms),
        job.stdout,
        job.stderr,
        state(job),
        command(job)
    )
}

fn state(job: &JobView) -> String {
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

fn object(label: &str, job: &JobView) -> serde_json::Value {
    let mut object = serde_json::to_value(job).expect("a job has string keys only");
    object["v"] = json!(crate::message::VERSION);
    object["host"] = json!(label);
    object
}

/// Takes a job over.
pub fn attach(args: &AttachArgs) -> Result<u8> {
    let place = Place::find(&args.job)?;
    let signals = signals::catch()?;
    let id = place.job(&args.job)?;
    let seat = if console::is_there() && !args.json {
        Seat::Offered
    } else {
        Seat::Apart
    };
    let task = Task {
        label: place.host.label.clone(),
        host: Ok(place.host.clone()),
        opening: Opening::Attach {
            id,
            stdout: args.from,
            stderr: args.from,
            keyboard: seat == Seat::Offered,
        },
    };
    let settings = Settings {
        goal: Goal::Result,
        contact_timeout: args.job.contact_timeout,
        patience: args.lease,
        style: if args.json {
            Style::Json(limits::CAPTURE)
        } else {
            Style::Plain
        },
        stdin: false,
        seat,
        verbosity: if args.verbose {
            Verbosity::Verbose
        } else {
            Verbosity::Quiet
        },
    };
    let finish = run(
        &place.link,
        Some(&place.directory),
        vec![task],
        settings,
        &signals,
    );
    place.link.close();
    Ok(conclude(&finish, 1))
}

/// Waits for a job.
pub fn wait(args: &WaitArgs) -> Result<u8> {
    let place = Place::find(&args.job)?;
    let id = place.job(&args.job)?;
    let label = place.host.label.clone();
    let report = match place.ask(Request::Wait { id }, &args.job, limits::PATIENCE)? {
        Reply::Exit {
            outcome,
            stdout,
            stderr,
            streams_open,
            cause,
        } => Report {
            id,
            outcome: Some(outcome),
            accepted: true,
            lengths: [stdout, stderr],
            missing: [0, 0],
            streams_open,
            cause,
            note: None,
        },
        reply => bail!("{label}: {}", words(&unexpected(&reply))),
    };
    place.link.close();
    if summary::is_worth_a_line(&report) {
        note(&format!("udpctl: {}", summary::line(&label, &report)));
    }
    Ok(summary::exit_status(&report))
}

/// Signals a job.
pub fn kill(args: &KillArgs) -> Result<u8> {
    let place = Place::find(&args.job)?;
    let id = place.job(&args.job)?;
    let label = place.host.label.clone();
    let request = Request::Signal {
        id,
        signal: args.signal,
    };
    match place.ask(request, &args.job, args.job.contact_timeout)? {
        Reply::Done {} => {}
        reply => bail!("{label}: {}; request {id}", words(&unexpected(&reply))),
    }
    place.link.close();
    Ok(0)
}

/// Where a job is.
struct Place {
    link: Link,
    directory: Directory,
    host: Host,
}

impl Place {
    fn find(args: &JobArgs) -> Result<Self> {
        let mut controller = Controller::new()?;
        let link = controller.link()?;
        let directory = controller.directory()?;
        let host = directory
            .find(std::slice::from_ref(&args.target), &link)
            .pop()
            .expect("one target, one host")
            .with_context(|| args.target.label().to_owned())?;
        Ok(Self {
            link,
            directory,
            host,
        })
    }

    /// The job that is meant: by its id, or among those that there are.
    fn job(&self, args: &JobArgs) -> Result<RequestId> {
        let prefix = args.job.as_ref().map_or("", |prefix| &prefix.0);
        if let Ok(id) = prefix.parse() {
            return Ok(id);
        }
        let label = &self.host.label;
        let jobs = match self.ask(Request::Jobs {}, args, args.contact_timeout)? {
            Reply::Jobs { jobs } => jobs,
            reply => bail!("{label}: {}", words(&unexpected(&reply))),
        };
        let ids: Vec<RequestId> = jobs
            .iter()
            .map(|job| job.id)
            .filter(|id| id.to_string().starts_with(prefix))
            .collect();
        match ids[..] {
            [id] => Ok(id),
            [] => bail!("{label}: there is no such job; \"udpctl jobs {label}\" lists them"),
            _ => bail!(
                "{label}: {} jobs could be meant; \"udpctl jobs {label}\" lists them",
                ids.len()
            ),
        }
    }

    fn ask(
        &self,
        request: Request,
        args: &JobArgs,
        patience: std::time::Duration,
    ) -> Result<Reply> {
        let question = Question {
            host: self.host.clone(),
            request,
            invite: None,
            contact_timeout: args.contact_timeout,
            patience,
        };
        let mut answers = Vec::new();
        ask(
            &self.link,
            Some(&self.directory),
            vec![question],
            |_, answer| answers.push(answer),
        );
        let answer = answers.pop().context("the network thread has ended")?;
        match answer.reply {
            Ok(reply) => Ok(reply),
            Err(error) => bail!("{}: {}", self.host.label, words(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Outcome;

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

    #[test]
    fn a_prefix_is_hexadecimal() {
        assert!("ab".parse::<JobPrefix>().is_ok());
        assert!("xy".parse::<JobPrefix>().is_err());
        assert!("".parse::<JobPrefix>().is_err());
    }
}
