//! `udpctl jobs --mine`: requests that have no result in the journal, with what their agents say of them.
//!
//! Invariant: a request is forgotten only after its agent has said that it does not know it, and after that
//! was printed.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::{JobsArgs, line, listed, object, question, state, with_hosts};
use crate::cli::ctl::context::{Context, note, print};
use crate::control::client::Client;
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::journal::{Journal, Past, Record, State};
use crate::control::query::run_queries;
use crate::crypto::PublicKey;
use crate::message::{JobState, JobView, Outcome, RequestId};
use crate::net::Target;

/// Asks the agents about these requests and prints one table.
pub fn run(args: &JobsArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let journal = context.journal();
    let client = context.link()?;
    let resolver = context.resolver()?;
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
        match listed(agent.label(), answer) {
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
        text = with_hosts(&rows, false);
    }
    print(&text)?;
    journal.settle(&gone);
    Ok(u8::from(failed))
}

/// An agent and the requests made to it, oldest first.
struct Agent {
    key: PublicKey,
    records: Vec<Record>,
}

impl Agent {
    /// Returns the target that was last typed for it.
    fn label(&self) -> &str {
        self.records.last().map_or("", |record| &record.host)
    }

    /// Finds the agent; fails if the key known for it has changed.
    fn find(&self, resolver: &HostResolver, client: &Client) -> Result<Host, String> {
        let target: Target = self
            .label()
            .parse()
            .map_err(|_| "its address in the journal cannot be read".to_owned())?;
        let host = resolver
            .find(std::slice::from_ref(&target), client)
            .pop()
            .expect("one target, one host")
            .map_err(|error| error.to_string())?;
        if host.agent == self.key {
            Ok(host)
        } else {
            Err("the key known for this host has changed since the request was made".into())
        }
    }
}

/// Returns the requests without a result, each once, by agent.
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
            // The newer record was made by `attach`; the older one has the time and the command.
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
    /// Adds the requests made to an agent. Jobs of `None`: the agent does not answer.
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

    /// Returns a job as the journal has it.
    fn view(&self, record: &Record, outcome: Outcome) -> JobView {
        let age = self.journal.now().since(&record.sent);
        JobView {
            id: record.id,
            argv: record.argv.clone(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            state: JobState::Ended(outcome),
            stdout: 0,
            stderr: 0,
            still_running: false,
            key: None,
            name: None,
        }
    }
}
