//! Calls of the chat that wait for the rate of their keys.
//!
//! Not what they wait with. Invariants: the calls of a key wait in the order of their arrival; none of a key is first that has
//! just been continued while others wait; calls that are gone are never many more than those that wait.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::crypto::PublicKey;
use crate::time::Instant;

/// The calls that wait. Some may be gone.
#[derive(Default, Debug)]
pub(super) struct HeldCalls {
    keys: HashMap<PublicKey, OfKey>,
    /// Times at which the first call of each key is tried.
    times: BTreeSet<(Instant, PublicKey)>,
}

/// The calls of a key.
#[derive(Debug)]
struct OfKey {
    /// Time at which the first one is tried.
    at: Instant,
    calls: VecDeque<CallRef>,
    /// Number of calls at which those that are gone are removed.
    full: usize,
}

impl OfKey {
    const fn new(at: Instant) -> Self {
        Self {
            at,
            calls: VecDeque::new(),
            full: limits::HELD_CALLS,
        }
    }
}

impl HeldCalls {
    /// Returns the time at which a call of a key is tried, if any waits.
    pub(super) fn of_key(&self, key: PublicKey) -> Option<Instant> {
        self.keys.get(&key).map(|of_key| of_key.at)
    }

    /// Adds a call behind the others of its key. Those that do not wait any more according to `waits` are removed when
    /// there are many calls.
    pub(super) fn push(
        &mut self,
        key: PublicKey,
        at: Instant,
        call: CallRef,
        waits: impl Fn(CallRef) -> bool,
    ) {
        let of_key = self.keys.entry(key).or_insert_with(|| {
            self.times.insert((at, key));
            OfKey::new(at)
        });
        if of_key.calls.len() >= of_key.full {
            of_key.calls.retain(|&call| waits(call));
            // Each call is looked at once or twice, and the queue takes at most twice what it must.
            of_key.full = limits::HELD_CALLS.max(2 * of_key.calls.len());
            of_key.calls.shrink_to(of_key.full);
        }
        of_key.calls.push_back(call);
    }

    /// Adds a call before the others of its key, all of which wait until `at`.
    pub(super) fn push_front(&mut self, key: PublicKey, at: Instant, call: CallRef) {
        let of_key = self.keys.entry(key).or_insert(OfKey::new(at));
        self.times.remove(&(of_key.at, key));
        self.times.insert((at, key));
        of_key.at = at;
        of_key.calls.push_front(call);
    }

    /// Removes the next call that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(PublicKey, CallRef)> {
        let &(at, key) = self.times.first().filter(|(at, _)| *at <= now)?;
        let of_key = self.keys.get_mut(&key)?;
        let call = of_key.calls.pop_front()?;
        if of_key.calls.is_empty() {
            self.keys.remove(&key);
            self.times.remove(&(at, key));
        }
        Some((key, call))
    }

    /// Returns the time at which the next call is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.times.first().map(|first| first.0)
    }

    /// Returns the number of calls, also of those that are gone.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.values().map(|of_key| of_key.calls.len()).sum()
    }
}
