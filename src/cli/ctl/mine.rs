//! `udpctl jobs --mine`: what became of the requests that the journal has no result of.
//!
//! Invariant: a request is forgotten only after its agent has said that it does not know it, and after that
//! was shown.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::args::JobsArgs;
use super::context::{Controller, note, print};
use super::jobs::{line, listed, object, question, state, with_hosts};
use crate::control::client::{Client, Host, HostResolver};
use crate::control::journal::{Journal, Past, Record, State};
use crate::control::query::run_queries;
use crate::crypto::PublicKey;
use crate::message::{JobState, JobView, Outcome, RequestId};
use crate::net::Target;

/// Lists them.
pub fn mine(args: &JobsArgs) -> Result<u8> {
    let mut controller = Controller::new()?;
    let journal = controller.journal();
    let client = controller.link()?;
    let resolver = controller.resolver()?;
    let mut agents = outstanding(&journal);
    let mut failed = false;
    if !args.targets.is_empty() {
        let mut wanted = Vec::new();
        for (target, host) in std::iter::zip(&args.targets, resolver.find(&args.targets, &client)) {
            match host {
                Ok(host) => wanted.push(host.agent),
                Err(error) => {
                    note(&format!("udpctl: {}: {error}", target.label()));
                    failed = true;
                }
            }
        }
        agents.retain(|agent| wanted.contains(&agent.key));
    }
    let mut list = List {
        args,
        journal: &journal,
        text: String::new(),
        rows: Vec::new(),
        gone: HashSet::new(),
    };
    let (mut asked, mut questions) = (Vec::new(), Vec::new());
    for agent in &agents {
        match agent.find(&resolver, &client) {
            Ok(host) => {
                asked.push(agent);
                questions.push(question(args, host));
            }
            Err(error) => {
                failed = true;
                note(&format!("udpctl: {}: {error}", agent.label()));
                list.add(agent, None);
            }
        }
    }
    run_queries(&client, Some(&resolver), questions, |index, answer| {
        let agent = asked[index];
        match listed(answer) {
            Ok(jobs) => list.add(agent, Some(&jobs)),
            Err(error) => {
                failed = true;
                note(&format!("udpctl: {}: {error}", agent.label()));
                list.add(agent, None);
            }
        }
    });
    client.close();
    let List {
        mut text,
        rows,
        gone,
        ..
    } = list;
    if !args.json {
        text = with_hosts(&rows);
    }
    print(&text)?;
    journal.settle(&gone);
    Ok(u8::from(failed))
}

/// An agent, and what it was asked, oldest first.
struct Agent {
    key: PublicKey,
    records: Vec<Record>,
}

impl Agent {
    /// As it was last called.
    fn label(&self) -> &str {
        self.records.last().map_or("", |record| &record.host)
    }

    fn find(&self, resolver: &HostResolver, client: &Client) -> Result<Host, String> {
        let target: Target = self.label().parse().map_err(|_| "no address".to_owned())?;
        let host = resolver
            .find(std::slice::from_ref(&target), client)
            .pop()
            .expect("one target, one host")
            .map_err(|error| error.to_string())?;
        if host.agent == self.key {
            Ok(host)
        } else {
            Err("another agent is there now, with another key".into())
        }
    }
}

/// The requests without a result, each once, by agent.
fn outstanding(journal: &Journal) -> Vec<Agent> {
    let runs = journal.runs();
    let mut agents: Vec<Agent> = Vec::new();
    let mut index: HashMap<PublicKey, usize> = HashMap::new();
    for record in runs.iter().rev().flat_map(Past::records) {
        if record.state != State::Open {
            continue;
        }
        let at = *index.entry(record.agent).or_insert_with(|| {
            agents.push(Agent {
                key: record.agent,
                records: Vec::new(),
            });
            agents.len() - 1
        });
        let records = &mut agents[at].records;
        match records.iter_mut().find(|known| known.id == record.id) {
            // The newer one is of who attached to it.
            Some(known) => {
                let live = known.live || record.live;
                let (sent, argv) = (known.sent.clone(), known.argv.clone());
                *known = Record {
                    argv,
                    sent,
                    live,
                    ..record
                };
            }
            None => records.push(record),
        }
    }
    agents
}

/// What is printed.
struct List<'a> {
    args: &'a JobsArgs,
    journal: &'a Journal,
    text: String,
    /// Or these rows, each with its host.
    rows: Vec<(&'a str, String)>,
    /// What is to be forgotten then.
    gone: HashSet<(RequestId, PublicKey)>,
}

impl<'a> List<'a> {
    /// `None`: it does not answer.
    fn add(&mut self, agent: &'a Agent, jobs: Option<&[JobView]>) {
        for record in &agent.records {
            let job = jobs.map(|jobs| jobs.iter().find(|job| job.id == record.id));
            let (view, name) = match job {
                Some(Some(job)) => (job.clone(), None),
                Some(None) => (
                    self.view(record, Outcome::Unknown {}),
                    Some(Outcome::Unknown {}.row().name),
                ),
                None => (
                    self.view(record, Outcome::Unreachable {}),
                    Some("no_answer"),
                ),
            };
            if self.args.json {
                let mut object = object(&record.host, &view);
                object["attached"] = json!(record.live);
                if let Some(name) = name {
                    object["state"] = json!({name: {}});
                }
                let _ = writeln!(self.text, "{object}");
            } else {
                let lengths = name.is_none().then_some([view.stdout, view.stderr]);
                let mut words = state(&view);
                if record.live {
                    words.push_str(" (attached here)");
                }
                let row = line(&view, lengths, &words);
                self.rows.push((&record.host, row));
            }
            if matches!(job, Some(None)) && !record.live {
                self.gone.insert((record.id, record.agent));
            }
        }
    }

    /// A job as the journal knows it.
    fn view(&self, record: &Record, outcome: Outcome) -> JobView {
        let age = self.journal.now().since(&record.sent);
        JobView {
            id: record.id,
            argv: record.argv.clone(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            state: JobState::Ended(outcome),
            stdout: 0,
            stderr: 0,
        }
    }
}
