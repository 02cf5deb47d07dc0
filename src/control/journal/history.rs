//! What the journal knows of each request, from all its runs.
//!
//! A picture of one moment: what others write down afterwards is not in it.

use std::collections::HashMap;
use std::time::Duration;

use super::{Moment, Past, Record, State};
use crate::crypto::PublicKey;
use crate::message::RequestId;

/// All requests that may have been sent.
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
    /// Of these runs, the newest first, as seen `now`.
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

    /// The newest record of a request.
    #[must_use]
    pub fn find(&self, id: RequestId, agent: &PublicKey) -> Option<&Record> {
        self.known.get(&(id, *agent)).map(|known| &known.newest)
    }

    /// How long ago a request may first have been sent.
    #[must_use]
    pub fn age(&self, id: RequestId, agent: &PublicKey) -> Option<Duration> {
        self.known.get(&(id, *agent)).map(|known| known.age)
    }
}
