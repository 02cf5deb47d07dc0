//! Requests made from this machine that have no result in the journal, and the jobs that they would be.
//!
//! Not what their agents say of them, which is asked by `jobs --mine`. Invariant: a request is there once, with every host that
//! was typed for it.

use std::collections::HashMap;

use crate::control::journal::{Journal, Past, Record};
use crate::crypto::PublicKey;
use crate::message::{JobState, JobView, Outcome, RequestId};

/// Request without a result, and the hosts that were typed for it, the oldest first.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) record: Record,
    pub(super) hosts: Vec<String>,
}

/// Returns the requests without a result, each once, the oldest first.
pub(super) fn outstanding(runs: &[Past]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut index: HashMap<(RequestId, PublicKey), usize> = HashMap::new();
    for record in runs.iter().rev().flat_map(Past::records) {
        if !record.state.is_open() {
            continue;
        }
        if let Some(&at) = index.get(&(record.id, record.agent)) {
            // The newer record was made by `attach`; the older one has the time and the command.
            let known = &mut requests[at];
            known.record.live |= record.live;
            known.hosts.retain(|host| *host != record.host);
            known.hosts.push(record.host);
        } else {
            index.insert((record.id, record.agent), requests.len());
            let hosts = vec![record.host.clone()];
            requests.push(Request { record, hosts });
        }
    }
    requests
}

/// Returns a job as the journal has it, without an answer of its agent.
pub(super) fn view(journal: &Journal, record: &Record) -> JobView {
    ended(journal, record, Outcome::Unreachable {})
}

/// Returns a job as the journal has it, with its outcome.
pub(super) fn ended(journal: &Journal, record: &Record, outcome: Outcome) -> JobView {
    let age = journal.now().since(&record.sent);
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
