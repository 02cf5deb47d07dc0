//! The job that `udpctl attach` is about, and the agent that has it; the choice of a job among those that an agent lists.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use crossbeam_channel::never;

use super::args::ContactTimeout;
use super::candidates;
use super::context::{Context, is_watched, note_of};
use super::reply::{unexpected, words};
use super::unanswered::Unanswered;
use crate::control::client::Client;
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::journal::Journal;
use crate::control::limits;
use crate::control::queries::{Conditions, run_queries_until};
use crate::control::query::Question;
use crate::crypto::PublicKey;
use crate::escape;
use crate::message::{JobState, JobView, Outcome, Reply, Request, RequestId};
use crate::net::Target;

/// A job and its agent, as typed.
#[derive(Args, Debug)]
pub struct JobArgs {
    /// Agent: HOST, HOST:PORT or [IPv6]:PORT; the default port is 7000
    #[arg(value_name = "TARGET", required_unless_present = "run", add = ArgValueCompleter::new(candidates::host))]
    pub target: Option<Target>,
    /// Request id or a unique prefix of it [default: the only job of this key that runs, or the only one]
    #[arg(value_name = "JOB", add = ArgValueCompleter::new(candidates::job))]
    pub job: Option<JobPrefix>,
    /// Look for the job among those of all keys; needs "admin" in the line of your key, or the agent's own user
    #[arg(long)]
    pub all: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// A request id, or the beginning of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobPrefix(String);

impl FromStr for JobPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err("a request id has 32 hexadecimal digits, and a prefix of one has fewer");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl JobPrefix {
    /// Returns true if it is the beginning of an id, or all of it.
    pub fn is_of(&self, id: RequestId) -> bool {
        id.to_string().starts_with(&self.0)
    }
}

/// The job that is meant, as typed.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    prefix: &'a str,
    all_keys: bool,
}

impl<'a> Wanted<'a> {
    /// Describes the job with a prefix, or else the only one, of this key or of all keys.
    pub fn new(prefix: Option<&'a JobPrefix>, all_keys: bool) -> Self {
        Self {
            prefix: prefix.map_or("", |prefix| &prefix.0),
            all_keys,
        }
    }

    /// Returns the id, if no agent needs to be asked for it.
    pub fn id(self) -> Option<RequestId> {
        self.prefix.parse().ok().filter(|_| !self.all_keys)
    }

    /// Returns the only job that matches among those of the agent `label`, with the key of its owner if it may be
    /// another.
    pub fn among(
        self,
        label: &str,
        jobs: &[JobView],
    ) -> Result<(RequestId, Option<PublicKey>), String> {
        let matching = jobs
            .iter()
            .filter(|job| job.id.to_string().starts_with(self.prefix));
        let mut matching: Vec<_> = matching.collect();
        // Results are kept for a while; who names no job means one that runs.
        if self.prefix.is_empty() && matching.iter().any(|job| is_running(job)) {
            matching.retain(|job| is_running(job));
        }
        match matching[..] {
            [job] => Ok((job.id, job.key)),
            [] => Err(format!(
                "no such job; \"udpctl jobs {label}\" lists the jobs"
            )),
            ref several => Err(ambiguous(label, several)),
        }
    }
}

const fn is_running(job: &JobView) -> bool {
    matches!(job.state, JobState::Running {})
}

/// Returns the message about several jobs that could be meant, the newest of which are named.
fn ambiguous(label: &str, jobs: &[&JobView]) -> String {
    let (count, older) = (jobs.len(), jobs.len().saturating_sub(CANDIDATES));
    let named = jobs[older..].iter().rev().map(|job| {
        let id = job.id.to_string();
        format!(
            "{} ({}{})",
            &id[..unique(&id, jobs)],
            command_line(job, CANDIDATE),
            if is_running(job) { "" } else { ", ended" }
        )
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match older {
        0 => String::new(),
        older => format!(" and {older} more; \"udpctl jobs {label}\" lists them"),
    };
    format!("{count} jobs could be meant; name one of them: {named}{more}")
}

/// Returns the length of a prefix of an id that no other job has, of at least eight digits.
pub fn unique(id: &str, jobs: &[&JobView]) -> usize {
    let same = |other: String| {
        std::iter::zip(id.bytes(), other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let others = jobs
        .iter()
        .map(|job| job.id.to_string())
        .filter(|other| other != id);
    others
        .map(|other| same(other) + 1)
        .max()
        .unwrap_or_default()
        .clamp(8, id.len())
}

/// Jobs that a message names.
const CANDIDATES: usize = 5;

/// Bytes of a command that such a message shows.
const CANDIDATE: usize = 40;

/// Formats a job's argv as a command line for a shell: `max` bytes of it, and an ellipsis if there are more.
pub fn command_line(job: &JobView, max: usize) -> String {
    const ELLIPSIS: char = '\u{2026}';
    if job.argv.is_empty() {
        return ELLIPSIS.into();
    }
    let words = job.argv.iter().map(|word| {
        let word = word.as_os_str().to_string_lossy();
        escape::shell_word(&word).into_owned()
    });
    let mut line = words.collect::<Vec<_>>().join(" ");
    let is_cut = line.len() > max;
    if is_cut {
        let end = (0..=max).rev().find(|&end| line.is_char_boundary(end));
        line.truncate(end.unwrap_or_default());
    }
    let mut line = escape::line(line.as_bytes(), max).into_owned();
    if is_cut {
        line.push(ELLIPSIS);
    }
    line
}

/// The agent that a job is at, and the means to ask it.
pub struct JobHost {
    /// The network.
    pub client: Client,
    /// Known agents.
    pub resolver: HostResolver,
    /// Requests made from this machine.
    pub journal: Journal,
    /// The agent.
    pub host: Host,
    /// True if a person waits at a terminal, who is told that the agent has not answered yet.
    pub is_watched: bool,
}

impl JobHost {
    /// Finds the agent and opens the network.
    pub fn find(args: &JobArgs) -> Result<Self> {
        let mut context = Context::new()?;
        let typed = args.target.as_ref().context("no target was given")?;
        let target = context.target(typed)?;
        let (client, resolver, host) = context.network_of_one(&target)?;
        Ok(Self {
            client,
            resolver,
            journal: context.journal(),
            host,
            is_watched: is_watched(),
        })
    }

    /// Returns the job that is meant, with the key of its owner if it may be another: by its id, or among those that
    /// the agent lists.
    pub fn job(&self, args: &JobArgs) -> Result<(RequestId, Option<PublicKey>)> {
        let wanted = Wanted::new(args.job.as_ref(), args.all);
        if let Some(id) = wanted.id() {
            return Ok((id, None));
        }
        let label = &self.host.label;
        match wanted.among(label, &self.jobs(args)?) {
            Ok(job) => Ok(job),
            Err(why) => bail!("{label}: {why}"),
        }
    }

    /// Returns the jobs that the agent lists.
    pub fn jobs(&self, args: &JobArgs) -> Result<Vec<JobView>> {
        let request = Request::Jobs { all: args.all };
        match self.ask(request, args, args.timeout.contact_timeout)? {
            Reply::Jobs { jobs, .. } => Ok(jobs),
            reply => bail!("{}: {}", self.host.label, words(&unexpected(&reply))),
        }
    }

    /// Asks the agent one question.
    pub fn ask(&self, request: Request, args: &JobArgs, retry_for: Duration) -> Result<Reply> {
        let question = Question {
            host: self.host.clone(),
            request,
            invite: None,
            contact_timeout: args.timeout.contact_timeout,
            retry_for,
            finds_size: false,
        };
        let mut answers = Vec::new();
        let conditions = Conditions {
            resolver: Some(&self.resolver),
            signals: &never(),
            window: limits::WINDOW,
            note: note_of,
            is_watched: self.is_watched,
            time_limit: None,
        };
        run_queries_until(&self.client, &conditions, vec![question], |_, answer| {
            answers.push(answer);
        });
        let answer = answers
            .pop()
            .context("the network thread ended unexpectedly")?;
        match answer.reply {
            Ok(reply) => Ok(reply),
            Err(error) => {
                let label = &self.host.label;
                let text = format!("{label}: {}", words(&error));
                if error.outcome != (Outcome::Unreachable {}) {
                    bail!(text);
                }
                let unanswered = Unanswered {
                    label,
                    is_met: self.host.ticket.is_some(),
                    is_refused: error.is_refused,
                };
                bail!(unanswered.explained(&text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_a_request_id_is_hexadecimal() {
        assert!("ab".parse::<JobPrefix>().is_ok());
        assert!("xy".parse::<JobPrefix>().is_err());
        assert!("".parse::<JobPrefix>().is_err());
    }
}
