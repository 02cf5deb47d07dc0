//! INITs that wait for their Diffie-Hellman operations.
//!
//! Those from validated addresses come first, but not always. When a queue is full, an INIT of a network that
//! has fewer waiting displaces one of the network that has most, so that a network with one INIT is served
//! while others flood. Invariants: each queue is within its bound; an INIT waits once, however often it is repeated.

use std::collections::{HashMap, HashSet, VecDeque};

use super::buckets::Network;
use crate::session::{InitFingerprint, Path, limits};

/// An INIT with a valid mac, before its Diffie-Hellman.
pub(super) struct PendingInit {
    pub(super) fingerprint: InitFingerprint,
    pub(super) path: Path,
    pub(super) datagram: Vec<u8>,
    /// True if its token validated the address.
    pub(super) validated: bool,
    pub(super) network: Network,
}

#[derive(Default)]
pub(super) struct InitQueue {
    validated: VecDeque<PendingInit>,
    unvalidated: VecDeque<PendingInit>,
    /// Number of waiting INITs with a validated address, by network.
    by_network: HashMap<Network, usize>,
    /// Fingerprints of all that wait.
    waiting: HashSet<InitFingerprint>,
    /// Number of INITs taken.
    taken: u64,
}

impl InitQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.validated.is_empty() && self.unvalidated.is_empty()
    }

    /// Returns true if this INIT waits: a repeat has nothing to add.
    pub(super) fn contains(&self, fingerprint: InitFingerprint) -> bool {
        self.waiting.contains(&fingerprint)
    }

    /// Returns true if an INIT from an address that is not validated may wait.
    pub(super) fn takes_unvalidated(&self) -> bool {
        self.unvalidated.len() < limits::HANDSHAKES_BEFORE_RETRY
    }

    /// Adds an INIT; returns false if it, or another in its place, was dropped.
    pub(super) fn push(&mut self, init: PendingInit) -> bool {
        if !init.validated {
            self.waiting.insert(init.fingerprint);
            self.unvalidated.push_back(init);
            return true;
        }
        let mut room = true;
        if self.validated.len() >= limits::HANDSHAKE_QUEUE {
            room = false;
            let most = self.by_network.iter().max_by_key(|(_, count)| **count);
            let (&network, &most) = most.expect("the queue is full");
            let own = self.by_network.get(&init.network).copied().unwrap_or(0);
            if own + 1 >= most {
                return false;
            }
            let newest = self.validated.iter().rposition(|i| i.network == network);
            let newest = newest.expect("it is counted");
            if let Some(displaced) = self.validated.remove(newest) {
                self.waiting.remove(&displaced.fingerprint);
            }
            self.uncount(network);
        }
        self.waiting.insert(init.fingerprint);
        *self.by_network.entry(init.network).or_default() += 1;
        self.validated.push_back(init);
        room
    }

    /// Takes the next INIT: one of four from an address that is not validated, if both kinds wait.
    pub(super) fn pop(&mut self) -> Option<PendingInit> {
        let init = self.next()?;
        self.waiting.remove(&init.fingerprint);
        Some(init)
    }

    fn next(&mut self) -> Option<PendingInit> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(4)
            && let Some(init) = self.unvalidated.pop_front()
        {
            return Some(init);
        }
        let Some(init) = self.validated.pop_front() else {
            return self.unvalidated.pop_front();
        };
        self.uncount(init.network);
        Some(init)
    }

    fn uncount(&mut self, network: Network) {
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}
