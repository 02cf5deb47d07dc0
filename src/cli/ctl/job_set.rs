//! The jobs that `udpctl kill` and `wait` are about: one on each host of a set.
//!
//! Invariant: a host without such a job is counted as failed, and the others go on.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::args::{ContactTimeout, HostOptions};
use super::candidates;
use super::context::{Context, internal_if, note};
use super::fleet::{Fleet, Round};
use super::job::{JobPrefix, Wanted};
use super::reply::unexpected;
use crate::control::exec::summary::Fate;
use crate::control::host_resolver::Host;
use crate::control::query::Question;
use crate::control::targets::{Expression, ParseExpressionError, TargetsError};
use crate::crypto::PublicKey;
use crate::message::status::USAGE;
use crate::message::{Reply, Request, RequestId};
use crate::net::Target;

/// One job on each host of a set, as typed.
#[derive(Args, Debug)]
pub struct JobSetArgs {
    /// Agents: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000. The last of
    /// several words is JOB if it has only hexadecimal digits, and --job is not given
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set_or_job),
        required_unless_present_any = ["hosts", "group", "all_hosts", "hostfile"]
    )]
    pub words: Vec<Word>,
    /// Choose the job by its request id or a unique prefix of it, looked for on each host [default: the only job of
    /// this key that runs, or the only one]
    #[arg(long, value_name = "JOB", add = ArgValueCompleter::new(candidates::job))]
    pub job: Option<JobPrefix>,
    /// Further hosts.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Look for the job among those of all keys; needs "admin" in the line of your key, or the agent's own user
    #[arg(long)]
    pub all: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Word of the command line: a set of targets, or at the end a job.
#[derive(Clone, Debug)]
pub struct Word {
    /// The word as typed.
    pub text: String,
    set: Result<Expression, ParseExpressionError>,
    job: Option<JobPrefix>,
}

impl FromStr for Word {
    type Err = ParseExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (set, job) = (text.parse(), text.parse().ok());
        match (set, job) {
            (Err(error), None) => Err(error),
            (set, job) => Ok(Self {
                text: text.to_owned(),
                set,
                job,
            }),
        }
    }
}

/// A job on a host.
pub struct HostJob {
    /// The host.
    pub host: Host,
    /// Request id.
    pub id: RequestId,
    /// Key of the owner, if it may be another.
    pub key: Option<PublicKey>,
}

impl JobSetArgs {
    /// Opens the network to the hosts, finds the job of each and passes them to `ask`, which returns the exit status.
    /// `verb` is the subcommand.
    pub fn run(&self, verb: &str, ask: impl FnOnce(Fleet, Vec<HostJob>) -> u8) -> Result<u8> {
        if let Some(fault) = self.fault(verb) {
            note(&format!("udpctl: {fault}"));
            return Ok(USAGE);
        }
        let (words, job) = self.words_and_job();
        let sets: Result<Vec<Expression>, _> = words.iter().map(|word| word.set.clone()).collect();
        let mut context = Context::new()?;
        let targets = context.targets(&sets.map_err(TargetsError::Set)?, &self.hosts)?;
        if let Some(fault) = self.mistyped_job(&targets) {
            note(&format!("udpctl: {fault}"));
            return Ok(USAGE);
        }
        let result = Fleet::open(&mut context, &targets).map(|mut fleet| {
            let jobs = self.find(&mut fleet, job);
            ask(fleet, jobs)
        });
        internal_if(targets.len() > 1, result)
    }

    /// Splits the words into sets of targets and the job.
    fn words_and_job(&self) -> (&[Word], Option<&JobPrefix>) {
        match (&self.job, &self.words[..]) {
            (None, [targets @ .., Word { job: Some(job), .. }]) if !targets.is_empty() => {
                (targets, Some(job))
            }
            (job, targets) => (targets, job.as_ref()),
        }
    }

    /// Returns the fault of a line whose words may be taken for another meaning.
    ///
    /// A word behind `-w SET` would be one more target, and the command would be about every only job.
    fn fault(&self, verb: &str) -> Option<String> {
        (!self.words.is_empty() && self.hosts.add_hosts()).then(|| {
            format!(
                "with -w, -g, -a or --hostfile, the job is written as --job JOB: udpctl {verb} -w SET --job JOB"
            )
        })
    }

    /// Returns the fault of a last word that is neither a job nor the name of a host that is found: a mistyped job, whose
    /// command line would be about the only job of each host before it.
    fn mistyped_job(&self, targets: &[Target]) -> Option<String> {
        let word = self.words.last().filter(|_| self.words.len() > 1)?;
        if word.job.is_some() || self.job.is_some() {
            return None;
        }
        let target = targets
            .last()
            .filter(|target| target.label() == word.text)?;
        let error = target.resolve().err()?;
        Some(format!(
            "\"{}\" is neither a host nor the beginning of a request id, and nothing was sent: {error}",
            word.text
        ))
    }

    /// Returns the job of each host. A host without it is reported and counted.
    fn find(&self, fleet: &mut Fleet, job: Option<&JobPrefix>) -> Vec<HostJob> {
        let hosts = fleet.hosts().to_vec();
        let wanted = Wanted::new(job, self.all);
        if let Some(id) = wanted.id() {
            let jobs = hosts.into_iter().map(|host| HostJob {
                host,
                id,
                key: None,
            });
            return jobs.collect();
        }
        let request = Request::Jobs { all: self.all };
        let timeout = self.timeout.contact_timeout;
        let mut round = Round::new(
            hosts
                .iter()
                .map(|host| self.question(host.clone(), request.clone(), timeout))
                .collect(),
        );
        // Nothing has been done on a host that was only asked for its jobs.
        round.unanswered = Fate::Skipped;
        let mut found: Vec<Option<(RequestId, Option<PublicKey>)>> = vec![None; hosts.len()];
        fleet.ask(round, |count, index, label, answer| {
            let jobs = match answer.reply {
                Ok(Reply::Jobs { jobs, .. }) => jobs,
                Ok(reply) => return count.no_reply(label, &unexpected(&reply)),
                Err(error) => return count.no_reply(label, &error),
            };
            match wanted.among(label, &jobs) {
                Ok(job) => found[index] = Some(job),
                Err(why) => count.fail(Fate::Failed, label, &why),
            }
        });
        std::iter::zip(hosts, found)
            .filter_map(|(host, job)| job.map(|(id, key)| HostJob { host, id, key }))
            .collect()
    }

    /// Returns a question to a host.
    pub fn question(&self, host: Host, request: Request, retry_for: Duration) -> Question {
        Question {
            host,
            request,
            invite: None,
            contact_timeout: self.timeout.contact_timeout,
            retry_for,
            finds_size: false,
        }
    }
}
