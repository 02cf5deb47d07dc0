//! Calls of the chat that wait for the rate of their keys.
//!
//! Not what they wait with. Invariant: the calls of a key wait in the order of their arrival; none of a key is first that has
//! just been continued while others wait.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::agent::outbox::CallRef;
use crate::crypto::PublicKey;
use crate::time::Instant;

/// The calls that wait. Some may be gone.
#[derive(Default, Debug)]
pub(super) struct HeldCalls {
    keys: HashMap<PublicKey, (Instant, VecDeque<CallRef>)>,
    /// Times at which the first call of each key is tried.
    times: BTreeSet<(Instant, PublicKey)>,
}

impl HeldCalls {
    /// Returns the time at which a call of a key is tried, if any waits.
    pub(super) fn of_key(&self, key: PublicKey) -> Option<Instant> {
        self.keys.get(&key).map(|&(at, _)| at)
    }

    /// Adds a call behind the others of its key.
    pub(super) fn push(&mut self, key: PublicKey, at: Instant, call: CallRef) {
        let (_, calls) = self.keys.entry(key).or_insert_with(|| {
            self.times.insert((at, key));
            (at, VecDeque::new())
        });
        calls.push_back(call);
    }

    /// Adds a call before the others of its key, all of which wait until `at`.
    pub(super) fn push_front(&mut self, key: PublicKey, at: Instant, call: CallRef) {
        let (time, calls) = self.keys.entry(key).or_insert((at, VecDeque::new()));
        self.times.remove(&(*time, key));
        self.times.insert((at, key));
        *time = at;
        calls.push_front(call);
    }

    /// Removes the next call that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(PublicKey, CallRef)> {
        let &(at, key) = self.times.first().filter(|(at, _)| *at <= now)?;
        let (_, calls) = self.keys.get_mut(&key)?;
        let call = calls.pop_front()?;
        if calls.is_empty() {
            self.keys.remove(&key);
            self.times.remove(&(at, key));
        }
        Some((key, call))
    }

    /// Returns the time at which the next call is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.times.first().map(|first| first.0)
    }
}
