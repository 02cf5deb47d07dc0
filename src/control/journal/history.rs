//! Records of each request in all runs of the journal.
//!
//! A snapshot: records that other processes write later are not in it.

use std::collections::HashMap;
use std::time::Duration;

use super::{Moment, Past, Record, State};
use crate::crypto::PublicKey;
use crate::message::RequestId;

/// Requests of the journal that may have been sent.
#[derive(Debug)]
pub struct History {
    known: HashMap<(RequestId, PublicKey), Known>,
}

#[derive(Debug)]
struct Known {
    newest: Record,
    age: Duration,
}

impl History {
    /// Collects the records of runs, which are given the newest first, with their ages at `now`.
    pub(super) fn of(runs: &[Past], now: &Moment) -> Self {
        let mut known: HashMap<_, Known> = HashMap::new();
        for record in runs.iter().flat_map(Past::records) {
            if record.state == State::Void {
                continue;
            }
            let age = now.since(&record.sent);
            known
                .entry((record.id, record.agent))
                .and_modify(|known| known.age = known.age.max(age))
                .or_insert(Known {
                    newest: record,
                    age,
                });
        }
        Self { known }
    }

    /// Returns the newest record of a request.
    #[must_use]
    pub fn find(&self, id: RequestId, agent: &PublicKey) -> Option<&Record> {
        self.known.get(&(id, *agent)).map(|known| &known.newest)
    }

    /// Returns the time since a request may first have been sent.
    #[must_use]
    pub fn age(&self, id: RequestId, agent: &PublicKey) -> Option<Duration> {
        self.known.get(&(id, *agent)).map(|known| known.age)
    }
}
