//! Use of an agent's endpoint by each key, so that no key takes the room of another.
//!
//! A key that is not listed is accounted to its invitation, since whoever has one can make any number of keys.
//! Invariants: the sessions of a key are within its bound and leave as much room free as they take; bytes
//! beyond gaps, bytes in order and open calls are within the bounds of the key and of the endpoint.

use std::collections::{BTreeSet, HashMap};

use super::buckets::Bucket;
use crate::crypto::PublicKey;
use crate::session::{SessionHandle, limits};
use crate::time::Instant;
use crate::wire::limits::INVITE;

/// Holder of a share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::session) enum Account {
    /// A listed key.
    Key(PublicKey),
    /// An invitation.
    Invite([u8; INVITE]),
}

/// Memory of streams: bytes beyond gaps with their overhead, bytes in order, open calls, and bytes by which windows exceed
/// their first size.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in crate::session) struct Held {
    pub(in crate::session) gap_bytes: u64,
    pub(in crate::session) ready_bytes: u64,
    pub(in crate::session) calls: u64,
    pub(in crate::session) window_growth: u64,
}

impl Held {
    fn replace(&mut self, old: Self, new: Self) {
        self.gap_bytes = self.gap_bytes.saturating_sub(old.gap_bytes) + new.gap_bytes;
        self.ready_bytes = self.ready_bytes.saturating_sub(old.ready_bytes) + new.ready_bytes;
        self.calls = self.calls.saturating_sub(old.calls) + new.calls;
        self.window_growth =
            self.window_growth.saturating_sub(old.window_growth) + new.window_growth;
    }
}

#[derive(Default)]
struct Use {
    /// Sessions, oldest first; not those that were closed to make room.
    sessions: BTreeSet<SessionHandle>,
    unconfirmed: usize,
    inits: Bucket,
    held: Held,
}

#[derive(Default)]
pub(super) struct Accounts {
    uses: HashMap<Account, Use>,
    held: Held,
}

impl Accounts {
    /// Counts an INIT; returns false if the key sends too many, or has too many handshakes in progress.
    pub(super) fn take_init(&mut self, now: Instant, account: Account) -> bool {
        if self.uses.len() >= limits::ACCOUNTS && !self.uses.contains_key(&account) {
            self.uses
                .retain(|_, used| !used.sessions.is_empty() || !used.inits.is_full(now));
        }
        let used = self.uses.entry(account).or_default();
        used.unconfirmed < limits::UNCONFIRMED_PER_KEY && used.inits.take(now, limits::KEY_INITS)
    }

    /// Returns the number of sessions of a key.
    pub(super) fn sessions(&self, account: Account) -> usize {
        self.uses
            .get(&account)
            .map_or(0, |used| used.sessions.len())
    }

    /// Returns the sessions of a key, oldest first.
    pub(super) fn oldest(&self, account: Account) -> impl Iterator<Item = SessionHandle> {
        let sessions = self.uses.get(&account).map(|used| &used.sessions);
        sessions.into_iter().flatten().copied()
    }

    /// Adds a session that is not confirmed.
    pub(super) fn on_accepted(&mut self, account: Account, session: SessionHandle) {
        let used = self.uses.entry(account).or_default();
        used.sessions.insert(session);
        used.unconfirmed += 1;
    }

    /// A session was confirmed, or is over before.
    pub(super) fn on_confirmed(&mut self, account: Account) {
        if let Some(used) = self.uses.get_mut(&account) {
            used.unconfirmed = used.unconfirmed.saturating_sub(1);
        }
    }

    /// Removes a session.
    pub(super) fn on_removed(&mut self, account: Account, session: SessionHandle) {
        if let Some(used) = self.uses.get_mut(&account) {
            used.sessions.remove(&session);
        }
    }

    /// Replaces the share that a session holds.
    pub(super) fn replace(&mut self, account: Account, old: Held, new: Held) {
        if old != new
            && let Some(used) = self.uses.get_mut(&account)
        {
            used.held.replace(old, new);
            self.held.replace(old, new);
        }
    }

    /// Returns the share that is left for a key.
    pub(super) fn left(&self, account: Account) -> Held {
        let used = self.uses.get(&account).map(|used| used.held);
        let used = used.unwrap_or_default();
        let left = |most: u64, used: u64, most_in_all: u64, in_all: u64| {
            let free = most_in_all.saturating_sub(in_all);
            most.saturating_sub(used).min(free)
        };
        Held {
            gap_bytes: left(
                limits::GAP_BYTES_PER_KEY,
                used.gap_bytes,
                limits::GAP_BYTES,
                self.held.gap_bytes,
            ),
            ready_bytes: left(
                limits::READY_BYTES_PER_KEY,
                used.ready_bytes,
                limits::READY_BYTES,
                self.held.ready_bytes,
            ),
            calls: left(
                limits::CALLS_PER_KEY,
                used.calls,
                limits::CALLS_IN_ALL,
                self.held.calls,
            ),
            // The bound for all holds for controllers as well, and is the endpoint's.
            window_growth: limits::WINDOW_GROWTH_PER_KEY.saturating_sub(used.window_growth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(number: u8) -> Account {
        Account::Key(PublicKey([number; 32]))
    }

    #[test]
    fn what_a_key_holds_is_taken_from_its_share_and_leaves_the_others_theirs() {
        let mut accounts = Accounts::default();
        let full = Held {
            gap_bytes: limits::GAP_BYTES_PER_KEY,
            ready_bytes: limits::READY_BYTES_PER_KEY,
            calls: limits::CALLS_PER_KEY,
            window_growth: limits::WINDOW_GROWTH_PER_KEY,
        };
        assert_eq!(accounts.left(key(1)), full);
        accounts.on_accepted(key(1), SessionHandle(1));
        accounts.replace(key(1), Held::default(), full);
        assert_eq!(accounts.left(key(1)), Held::default());
        assert_eq!(accounts.left(key(2)), full);
        accounts.replace(key(1), full, Held::default());
        assert_eq!(accounts.left(key(1)), full);
    }
}
