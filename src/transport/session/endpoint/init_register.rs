//! Register of answered INITs, so that a copy of one is not answered again while it is remembered.
//!
//! Holds the fingerprints of the last [`limits::INIT_REGISTER`] INITs, those of an earlier run of the
//! agent first; a new one displaces the oldest. Invariant: an INIT whose early data this run could still
//! accept is never forgotten. An INIT of this run stays for [`limits::INIT_REGISTER_AGE`]; when all are
//! younger, the register is full and no INIT is answered. An INIT of an earlier run names another epoch,
//! so its early data is refused whether it is remembered or not: it may be displaced at any time, and a
//! copy of it then gets a RESP and has no other effect.
//!
//! Those that may not be forgotten are shared out: a key may hold [`limits::INIT_REGISTER_PER_KEY`], and only as many
//! as are left free, so that some keys cannot fill the register for the others.
//!
//! A controller that gets no answer makes another INIT with the same early data. Both INITs may arrive,
//! and only one of the two sessions is used. So the register holds early data too, which is accepted
//! once.

use std::collections::{HashMap, HashSet, VecDeque};

use super::accounts::Account;
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
    /// Number of entries at the front that may be forgotten.
    aged: usize,
    /// Number of the other entries, by their key.
    held: HashMap<Account, usize>,
}

struct Entry {
    /// Time of the answer; `None` if an earlier run gave it.
    at: Option<Instant>,
    fingerprint: InitFingerprint,
    /// Early data that was accepted.
    early: Option<EarlyFingerprint>,
    /// The sender; `None` if an earlier endpoint answered it.
    account: Option<Account>,
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
            aged: 0,
            held: HashMap::new(),
        };
        let earlier = earlier.iter().map(|&fingerprint| (None, fingerprint));
        let run = run.iter().map(|&(at, fingerprint)| (Some(at), fingerprint));
        for (at, fingerprint) in earlier.chain(run) {
            this.push(Entry {
                at,
                fingerprint,
                early: None,
                account: None,
            });
        }
        this
    }

    pub(in crate::session) fn contains(&self, fingerprint: InitFingerprint) -> bool {
        self.fingerprints.contains(&fingerprint)
    }

    /// Returns true if an INIT can be added without displacing one whose early data could still be accepted.
    pub(in crate::session) fn has_room(&mut self, now: Instant) -> bool {
        self.free(now) > 0
    }

    /// Returns true if a key may add an INIT.
    pub(super) fn has_share(&mut self, now: Instant, account: Account) -> bool {
        let most = self.free(now).min(limits::INIT_REGISTER_PER_KEY);
        self.held.get(&account).is_none_or(|&held| held < most)
    }

    /// Returns the number of INITs that can be added without forgetting one that may not be forgotten.
    fn free(&mut self, now: Instant) -> usize {
        while let Some(entry) = self.order.get(self.aged)
            && entry
                .at
                .is_none_or(|at| now.since(at) >= limits::INIT_REGISTER_AGE)
        {
            self.aged += 1;
            let account = entry.account;
            self.discount(account);
        }
        limits::INIT_REGISTER.saturating_sub(self.order.len() - self.aged)
    }

    fn discount(&mut self, account: Option<Account>) {
        if let Some(account) = account
            && let Some(held) = self.held.get_mut(&account)
        {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&account);
            }
        }
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
        account: Account,
    ) {
        self.push(Entry {
            at: Some(at),
            fingerprint,
            early,
            account: Some(account),
        });
    }

    fn push(&mut self, entry: Entry) {
        if self.fingerprints.insert(entry.fingerprint) {
            self.early.extend(entry.early);
            if let Some(account) = entry.account {
                *self.held.entry(account).or_default() += 1;
            }
            self.order.push_back(entry);
        }
        if self.order.len() > limits::INIT_REGISTER
            && let Some(oldest) = self.order.pop_front()
        {
            if self.aged > 0 {
                self.aged -= 1;
            } else {
                self.discount(oldest.account);
            }
            self.fingerprints.remove(&oldest.fingerprint);
            if let Some(early) = oldest.early {
                self.early.remove(&early);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;

    const fn key(number: u8) -> Account {
        Account::Key(PublicKey([number; 32]))
    }

    /// Adds INITs of a key until it has its share, and returns their number.
    fn fill(register: &mut InitRegister, now: Instant, account: Account, next: &mut u64) -> usize {
        let mut added = 0;
        while register.has_room(now) && register.has_share(now, account) {
            register.insert(now, InitFingerprint(*next), None, account);
            *next += 1;
            added += 1;
        }
        added
    }

    #[test]
    fn keys_that_fill_the_register_leave_room_for_another_and_age_gives_it_back() {
        let now = Instant::from_micros(1_000_000);
        let (mut register, mut next) = (InitRegister::new(&[], &[]), 0);
        for number in 0..10 {
            let added = fill(&mut register, now, key(number), &mut next);
            assert!(added <= limits::INIT_REGISTER_PER_KEY);
            assert!(added > 0, "key {number}");
        }
        assert!(register.has_share(now, key(10)));
        assert!(!register.has_share(now, key(0)));
        let later = now + limits::INIT_REGISTER_AGE;
        assert!(register.has_share(later, key(0)));
        assert_eq!(register.held.len(), 0);
        fill(&mut register, later, key(0), &mut next);
        assert_eq!(register.held[&key(0)], limits::INIT_REGISTER_PER_KEY);
        assert!(register.order.len() <= limits::INIT_REGISTER);
    }
}
