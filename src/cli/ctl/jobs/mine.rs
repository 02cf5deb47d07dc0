//! `udpctl jobs --mine`: requests that have no result in the journal, with what their agents say of them.
//!
//! An agent is a key at a host, as several agents may share a key. Each is asked at every host that was typed for
//! a request of it.
//!
//! Invariant: without `--forget`, a request is forgotten only after every host it was made at has said that it does not
//! know it, and after that was printed.

use std::collections::HashSet;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::forget::{self, Forget};
use super::outstanding::{Request, ended, outstanding, view};
use super::{JobsArgs, line, listed, object, question, state, with_hosts};
use crate::cli::ctl::context::{Context, note, print};
use crate::cli::ctl::reply::{short_words, words};
use crate::control::client::Client;
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::journal::Journal;
use crate::control::queries::run_queries;
use crate::crypto::PublicKey;
use crate::escape;
use crate::message::status::SUCCESS;
use crate::message::{JobView, Outcome, RequestId};
use crate::net::Target;

/// Asks the agents about these requests and prints one table.
pub fn run(args: &JobsArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let journal = context.journal();
    if let Some(Forget::Job(job)) = &args.forget {
        let requests = outstanding(&journal.runs());
        forget::forget(&journal, &[forget::only(&requests, job)?])?;
        return Ok(SUCCESS);
    }
    // The first use of the inventory decides which files it is read from.
    context.inventory(&args.hosts.inventory, |_| Ok(()))?;
    let client = context.link()?;
    let resolver = context.resolver()?;
    let mut requests = outstanding(&journal.runs());
    let mut agents = agents(&requests, &context, &resolver, &client)?;
    let mut failed = false;
    if !args.targets.is_empty() || args.hosts.add_hosts() || !args.hosts.exclude.is_empty() {
        let targets = context.targets(&args.targets, &args.hosts)?;
        let mut wanted = Vec::new();
        for (target, host) in std::iter::zip(&targets, resolver.find(&targets, &client)) {
            match host {
                Ok(host) => wanted.push(host),
                Err(error) => {
                    note(&format!("udpctl: {}: {error}", target.label()));
                    failed = true;
                }
            }
        }
        agents.retain(|agent| wanted.iter().any(|host| agent.is_at(host)));
        // A request that was made at another host too is not forgotten on the word of one.
        requests.retain(|request| {
            let key = request.record.agent;
            let is_asked = |host: &String| agents.iter().any(|agent| agent.is(key, host));
            request.hosts.iter().any(is_asked)
        });
    }
    let (mut asked, mut questions) = (Vec::new(), Vec::new());
    for (index, agent) in agents.iter().enumerate() {
        match &agent.found {
            Ok(host) => {
                asked.push(index);
                questions.push(question(args, host.clone()));
            }
            Err(error) => {
                failed = true;
                note(&format!("udpctl: {}: {error}", agent.host));
            }
        }
    }
    let several = questions.len() > 1;
    run_queries(&client, Some(&resolver), questions, |index, answer| {
        let agent = &mut agents[asked[index]];
        match listed(&agent.host, answer) {
            Ok(jobs) => agent.jobs = Some(jobs),
            Err(error) => {
                failed = true;
                let words = if several { short_words } else { words };
                note(&format!("udpctl: {}: {}", agent.host, words(&error)));
            }
        }
    });
    client.close();
    if args.forget == Some(Forget::Unanswered) {
        let silent = requests
            .iter()
            .filter(|request| is_silent(request, &agents));
        forget::forget(&journal, &silent.collect::<Vec<_>>())?;
        return Ok(SUCCESS);
    }
    show(args, &journal, &requests, &agents)?;
    Ok(u8::from(failed))
}

/// Returns true if every host of a request was asked, or cannot be, and no agent says anything about it.
fn is_silent(request: &Request, agents: &[Agent]) -> bool {
    let key = request.record.agent;
    let is_asked = |host: &String| agents.iter().any(|agent| agent.is(key, host));
    matches!(answer(request, agents), Reply::NoAnswer(_)) && request.hosts.iter().all(is_asked)
}

/// Prints the table, and forgets what no host knows.
fn show(args: &JobsArgs, journal: &Journal, requests: &[Request], agents: &[Agent]) -> Result<()> {
    let mut list = List {
        args,
        journal,
        text: String::new(),
        rows: Vec::new(),
        gone: HashSet::new(),
    };
    for request in requests {
        list.add(request, &answer(request, agents));
    }
    let List {
        mut text,
        rows,
        gone,
        ..
    } = list;
    if !args.json {
        text = with_hosts(&rows, false);
    }
    print(&text)?;
    journal.settle(&gone);
    Ok(())
}

/// Agent that is asked.
struct Agent {
    key: PublicKey,
    /// The target as it was typed.
    host: String,
    found: Result<Host, String>,
    /// Its jobs, once it has answered.
    jobs: Option<Vec<JobView>>,
}

impl Agent {
    fn is(&self, key: PublicKey, host: &str) -> bool {
        self.key == key && self.host == host
    }

    /// Returns true if it is the agent at a host, which may be written in another way.
    fn is_at(&self, host: &Host) -> bool {
        let shares_an_address = |found: &Host| {
            let mut paths = found.paths.iter();
            paths.any(|path| host.paths.iter().any(|other| other.remote == path.remote))
        };
        self.key == host.agent
            && (self.host == host.label || self.found.as_ref().is_ok_and(shares_an_address))
    }
}

/// Answer about a request, with the host that it is from.
enum Reply<'a> {
    /// The agent knows it.
    Job(&'a str, &'a JobView),
    /// No host knows it.
    Unknown(&'a str),
    /// A host does not answer, or was not asked, and no other knows it.
    NoAnswer(&'a str),
}

/// Returns the answer about a request: a host that knows it decides, then one that does not answer.
fn answer<'a>(request: &'a Request, agents: &'a [Agent]) -> Reply<'a> {
    let (key, id) = (request.record.agent, request.record.id);
    let newest = request.hosts.last().map_or("", String::as_str);
    let mut reply = Reply::Unknown(newest);
    for host in &request.hosts {
        let agent = agents.iter().find(|agent| agent.is(key, host));
        match agent.and_then(|agent| agent.jobs.as_ref()) {
            Some(jobs) => {
                if let Some(job) = jobs.iter().find(|job| job.id == id) {
                    return Reply::Job(host, job);
                }
            }
            None => reply = Reply::NoAnswer(host),
        }
    }
    reply
}

/// Finds the agents of these requests, each once.
fn agents(
    requests: &[Request],
    context: &Context,
    resolver: &HostResolver,
    client: &Client,
) -> Result<Vec<Agent>> {
    let mut seen = HashSet::new();
    let mut agents = Vec::new();
    let (mut targets, mut places) = (Vec::new(), Vec::new());
    for request in requests {
        for host in &request.hosts {
            let key = request.record.agent;
            if !seen.insert((key, host)) {
                continue;
            }
            if let Ok(target) = host.parse::<Target>() {
                places.push(agents.len());
                targets.push(context.target(&target)?);
            }
            agents.push(Agent {
                key,
                host: host.clone(),
                found: Err("its address in the journal cannot be read".to_owned()),
                jobs: None,
            });
        }
    }
    for (place, found) in std::iter::zip(places, resolver.find(&targets, client)) {
        let agent = &mut agents[place];
        agent.found = match found {
            Ok(host) if host.agent == agent.key => Ok(host),
            Ok(_) => {
                Err("the key known for this host has changed since the request was made".into())
            }
            Err(error) => Err(error.to_string()),
        };
    }
    Ok(agents)
}

/// The list to print.
struct List<'a> {
    args: &'a JobsArgs,
    journal: &'a Journal,
    text: String,
    /// Rows of the table, each with its host; for JSON, `text` is used instead.
    rows: Vec<(&'a str, String)>,
    /// Requests to forget after printing.
    gone: HashSet<(RequestId, PublicKey)>,
}

impl<'a> List<'a> {
    /// Adds a request.
    fn add(&mut self, request: &'a Request, reply: &Reply<'a>) {
        let record = &request.record;
        let (host, view, name) = match *reply {
            Reply::Job(host, job) => (host, job.clone(), None),
            Reply::Unknown(host) => (
                host,
                ended(self.journal, record, Outcome::Unknown {}),
                Some(Outcome::Unknown {}.row().name),
            ),
            Reply::NoAnswer(host) => (host, view(self.journal, record), Some("no_answer")),
        };
        if self.args.json {
            let mut object = object(host, &view);
            object["attached"] = json!(record.live);
            if let Some(name) = name {
                object["state"] = json!({name: {}});
            }
            let _ = writeln!(self.text, "{}", escape::json(&object.to_string()));
        } else {
            let lengths = name.is_none().then_some([view.stdout, view.stderr]);
            let mut words = state(&view);
            if record.live {
                words.push_str(" (attached here)");
            }
            self.rows.push((host, line(&view, lengths, &words)));
        }
        if matches!(reply, Reply::Unknown(_)) && !record.live {
            self.gone.insert((record.id, record.agent));
        }
    }
}
