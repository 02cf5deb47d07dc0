//! Register of answered INITs, so that a copy of one is not answered again while it is remembered.
//!
//! Holds the fingerprints of the last [`limits::INIT_REGISTER`] INITs, those of an earlier run of the
//! agent first; a new one displaces the oldest. Invariant: an INIT whose early data this run could still
//! accept is never forgotten. An INIT of this run stays for [`limits::INIT_REGISTER_AGE`]; when all are
//! younger, the register is full and no INIT is answered. An INIT of an earlier run names another epoch,
//! so its early data is refused whether it is remembered or not: it may be displaced at any time, and a
//! copy of it then gets a RESP and has no other effect.
//!
//! A controller that gets no answer makes another INIT with the same early data. Both INITs may arrive,
//! and only one of the two sessions is used. So the register holds early data too, which is accepted
//! once.

use std::collections::{HashSet, VecDeque};

use crate::session::{InitFingerprint, limits};
use crate::time::Instant;

/// Hash of the early data of an INIT and of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct EarlyFingerprint(pub(super) u64);

pub(in crate::session) struct InitRegister {
    /// Oldest first.
    order: VecDeque<Entry>,
    fingerprints: HashSet<InitFingerprint>,
    early: HashSet<EarlyFingerprint>,
}

struct Entry {
    /// Time of the answer; `None` if an earlier run gave it.
    at: Option<Instant>,
    fingerprint: InitFingerprint,
    /// Early data that was accepted.
    early: Option<EarlyFingerprint>,
}

impl InitRegister {
    /// Creates a register that holds the fingerprints of an earlier run, and those of this run.
    pub(in crate::session) fn new(
        earlier: &[InitFingerprint],
        run: &[(Instant, InitFingerprint)],
    ) -> Self {
        let mut this = Self {
            order: VecDeque::new(),
            fingerprints: HashSet::new(),
            early: HashSet::new(),
        };
        let earlier = earlier.iter().map(|&fingerprint| (None, fingerprint));
        let run = run.iter().map(|&(at, fingerprint)| (Some(at), fingerprint));
        for (at, fingerprint) in earlier.chain(run) {
            this.push(Entry {
                at,
                fingerprint,
                early: None,
            });
        }
        this
    }

    pub(in crate::session) fn contains(&self, fingerprint: InitFingerprint) -> bool {
        self.fingerprints.contains(&fingerprint)
    }

    /// Returns true if an INIT can be added without displacing one whose early data could still be accepted.
    pub(in crate::session) fn has_room(&self, now: Instant) -> bool {
        self.order.len() < limits::INIT_REGISTER
            || self
                .order
                .front()
                .and_then(|first| first.at)
                .is_none_or(|at| now.since(at) >= limits::INIT_REGISTER_AGE)
    }

    /// Returns true if the same early data was accepted from another INIT.
    pub(super) fn has_taken(&self, early: EarlyFingerprint) -> bool {
        self.early.contains(&early)
    }

    /// Adds an INIT, with the fingerprint of its early data if that was accepted.
    pub(super) fn insert(
        &mut self,
        at: Instant,
        fingerprint: InitFingerprint,
        early: Option<EarlyFingerprint>,
    ) {
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
