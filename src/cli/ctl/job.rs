//! `udpctl attach`, `wait` and `kill`: commands that run or ran already.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use super::args::{AttachArgs, JobArgs, KillArgs, WaitArgs};
use super::ask::{unexpected, words};
use super::context::{Controller, note};
use super::exec::conclude;
use crate::control::client::{Client, Host, HostResolver};
use crate::control::exec::summary;
use crate::control::exec::{
    Goal, JobRequest, Report, Settings, Style, Task, TerminalMode, Verbosity, run,
};
use crate::control::journal::{self, Journal, Keeping, Known, Offsets, Plan, State};
use crate::control::query::{Question, run_queries};
use crate::control::{console, limits, signals};
use crate::message::{OsText, Reply, Request, RequestId};

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

/// Takes a job over.
pub fn attach(args: &AttachArgs) -> Result<u8> {
    let place = Place::find(&args.job)?;
    let signals = signals::catch(&[])?;
    let id = place.job(&args.job)?;
    let terminal_mode = if console::is_there() && !args.json {
        TerminalMode::Offered
    } else {
        TerminalMode::Apart
    };
    let label = place.host.label.clone();
    let history = place.journal.history();
    let before = history.find(id, &place.host.agent);
    let offsets = match (args.from, before) {
        (Some(from), _) => [Offsets::at(from); 2],
        (None, Some(before)) if before.state == State::Open => before.offsets,
        (None, _) => [Offsets::UNKNOWN; 2],
    };
    for (name, offsets) in std::iter::zip(["stdout", "stderr"], offsets) {
        if offsets.in_doubt() > 0 {
            note(&format!(
                "udpctl: {label}: the controller before ended while it wrote, so up to {} bytes of {name} \
                 appear twice; request {id}",
                offsets.in_doubt()
            ));
        }
    }
    let first = |offsets: Offsets| (offsets != Offsets::UNKNOWN).then_some(offsets.written);
    let task = Task {
        label: label.clone(),
        host: Ok(place.host.clone()),
        request: JobRequest::Attach {
            id,
            stdout: first(offsets[0]),
            stderr: first(offsets[1]),
            keyboard: terminal_mode == TerminalMode::Offered,
        },
    };
    let plan = Plan {
        argv: before.map_or_else(|| vec![OsText::from("?")], |before| before.argv.clone()),
        keeping: Keeping::UntilSettled,
        known: Known::Before,
        requests: vec![Some(journal::Request {
            id,
            host: label,
            agent: place.host.agent,
            offsets,
        })],
    };
    let journal = place.journal.begin(plan).map_or_else(
        |error| {
            note(&format!("udpctl: the request is not written down: {error}"));
            None
        },
        Some,
    );
    let settings = Settings {
        goal: Goal::Result,
        contact_timeout: args.job.contact_timeout,
        retry_for: args.lease,
        style: if args.json {
            Style::Json(limits::CAPTURE)
        } else {
            Style::Plain
        },
        stdin: false,
        terminal_mode,
        forward: Vec::new(),
        verbosity: if args.verbose {
            Verbosity::Verbose
        } else {
            Verbosity::Quiet
        },
    };
    let finish = run(
        &place.client,
        Some(&place.resolver),
        journal,
        vec![task],
        settings,
        &signals,
    );
    place.client.close();
    Ok(conclude(&finish, 1))
}

/// Waits for a job.
pub fn wait(args: &WaitArgs) -> Result<u8> {
    let place = Place::find(&args.job)?;
    let id = place.job(&args.job)?;
    let label = place.host.label.clone();
    let report = match place.ask(Request::Wait { id }, &args.job, limits::RETRY_FOR)? {
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
    place.client.close();
    let result = summary::is_worth_a_line(&report).then(|| summary::line(&label, &report));
    for line in [summary::left_out(&label, &report), result]
        .into_iter()
        .flatten()
    {
        note(&format!("udpctl: {line}"));
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
    place.client.close();
    Ok(0)
}

/// Where a job is.
struct Place {
    client: Client,
    resolver: HostResolver,
    journal: Journal,
    host: Host,
}

impl Place {
    fn find(args: &JobArgs) -> Result<Self> {
        let mut controller = Controller::new()?;
        let client = controller.link()?;
        let resolver = controller.resolver()?;
        let host = resolver
            .find(std::slice::from_ref(&args.target), &client)
            .pop()
            .expect("one target, one host")
            .with_context(|| args.target.label().to_owned())?;
        Ok(Self {
            client,
            resolver,
            journal: controller.journal(),
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
        retry_for: std::time::Duration,
    ) -> Result<Reply> {
        let question = Question {
            host: self.host.clone(),
            request,
            invite: None,
            contact_timeout: args.contact_timeout,
            retry_for,
        };
        let mut answers = Vec::new();
        run_queries(
            &self.client,
            Some(&self.resolver),
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

    #[test]
    fn a_prefix_is_hexadecimal() {
        assert!("ab".parse::<JobPrefix>().is_ok());
        assert!("xy".parse::<JobPrefix>().is_err());
        assert!("".parse::<JobPrefix>().is_err());
    }
}
