//! Records of each request in all runs of the journal.
//!
//! A snapshot: records that other processes write later are not in it.

use std::collections::HashMap;
use std::time::Duration;

use super::{Keeping, Moment, Past, Record, State};
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
    /// True if a run in progress has drawn the id, and may be about to send the request.
    is_being_made: bool,
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
            let is_being_made = record.live && record.keeping == Keeping::UntilSettled;
            known
                .entry((record.id, record.agent))
                .and_modify(|known| {
                    known.age = known.age.max(age);
                    known.is_being_made |= is_being_made;
                })
                .or_insert(Known {
                    newest: record,
                    age,
                    is_being_made,
                });
        }
        Self { known }
    }

    /// Returns the newest record of a request.
    #[must_use]
    pub fn find(&self, id: RequestId, agent: &PublicKey) -> Option<&Record> {
        self.known.get(&(id, *agent)).map(|known| &known.newest)
    }

    /// Returns the time since a request may first have been sent; the longest there is if a run in progress may send it
    /// as one that nobody else has.
    #[must_use]
    pub fn age(&self, id: RequestId, agent: &PublicKey) -> Option<Duration> {
        let known = self.known.get(&(id, *agent))?;
        Some(if known.is_being_made {
            Duration::MAX
        } else {
            known.age
        })
    }
}
