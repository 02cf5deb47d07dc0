//! INITs that were answered, so that a copy of one draws no second answer while it is remembered.
//!
//! Fingerprints of the last [`limits::INIT_REGISTER`] INITs, those of an earlier run of the agent first. The oldest
//! makes room. Invariant: an INIT whose early data this run could still take is never forgotten. One of
//! this run stays for [`limits::INIT_REGISTER_AGE`]; when all are younger, the register is full and no INIT is
//! answered. One of an earlier run names another epoch, so its early data is refused whether it is
//! remembered or not: it makes room at any time, and a copy of it then draws a RESP and nothing more.
//!
//! A controller that had no answer makes another INIT with the same early data. Both may arrive, and only
//! one of the two sessions is used, so the early data is remembered too, and taken once.

use std::collections::{HashSet, VecDeque};

use crate::session::limits;
use crate::time::Instant;

pub(in crate::session) struct InitRegister {
    order: VecDeque<Entry>,
    fingerprints: HashSet<u64>,
    early: HashSet<u64>,
}

struct Entry {
    /// Time of the answer; `None` if an earlier run gave it.
    at: Option<Instant>,
    fingerprint: u64,
    early: Option<u64>,
}

impl InitRegister {
    /// A register that holds the fingerprints of an earlier run.
    pub(in crate::session) fn new(seen: &[u64]) -> Self {
        let mut this = Self {
            order: VecDeque::new(),
            fingerprints: HashSet::new(),
            early: HashSet::new(),
        };
        for &fingerprint in seen {
            this.push(Entry {
                at: None,
                fingerprint,
                early: None,
            });
        }
        this
    }

    pub(in crate::session) fn contains(&self, fingerprint: u64) -> bool {
        self.fingerprints.contains(&fingerprint)
    }

    /// True if one more can be remembered without forgetting one whose early data could still be taken.
    pub(in crate::session) fn has_room(&self, now: Instant) -> bool {
        self.order.len() < limits::INIT_REGISTER
            || self
                .order
                .front()
                .and_then(|first| first.at)
                .is_none_or(|at| now.since(at) >= limits::INIT_REGISTER_AGE)
    }

    /// Whether this early data was taken, from another INIT.
    pub(in crate::session) fn has_taken(&self, early: u64) -> bool {
        self.early.contains(&early)
    }

    /// Remembers an INIT, and the fingerprint of its early data if that is taken.
    pub(in crate::session) fn insert(&mut self, at: Instant, fingerprint: u64, early: Option<u64>) {
        self.push(Entry {
            at: Some(at),
            fingerprint,
            early,
        });
    }

    fn push(&mut self, entry: Entry) {
        if self.fingerprints.insert(entry.fingerprint) {
            self.early.extend(entry.early);
            self.order.push_back(entry);
        }
        if self.order.len() > limits::INIT_REGISTER
            && let Some(oldest) = self.order.pop_front()
        {
            self.fingerprints.remove(&oldest.fingerprint);
            if let Some(early) = oldest.early {
                self.early.remove(&early);
            }
        }
    }
}
