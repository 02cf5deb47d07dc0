//! Memory of the paths of each key's sessions, for its later sessions from the same address.
//!
//! A hint for congestion control, which checks it against the path, and a budget until the address is validated again.
//! Invariants: nothing is remembered of an address that was not validated; the memory is bounded, and a key has its own
//! share of it; [`limits::KNOWN_PATH_SESSIONS`] at a time use the window and the budget of an entry, and any number its
//! round-trip time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::accounts::Account;
use super::{Endpoint, Index};
use crate::session::congestion::KnownPath;
use crate::session::connection::Session;
use crate::session::limits;
use crate::time::Instant;

struct Entry {
    address: IpAddr,
    path: KnownPath,
    learned: Instant,
    /// Time at which its window was learned.
    filled: Instant,
    /// Number of sessions that have it and are not over.
    lent: usize,
}

#[derive(Default)]
pub(super) struct KnownPaths {
    /// Of each key, the one learned last at the end.
    of: HashMap<Account, VecDeque<Entry>>,
}

impl KnownPaths {
    fn store(&mut self, account: Account, mut entry: Entry) {
        let now = entry.learned;
        if self.of.len() >= limits::KNOWN_PATHS_KEYS && !self.of.contains_key(&account) {
            self.of
                .retain(|_, entries| entries.back().is_some_and(|last| is_fresh(last, now)));
            if self.of.len() >= limits::KNOWN_PATHS_KEYS {
                return;
            }
        }
        let entries = self.of.entry(account).or_default();
        let is_newer =
            |known: &Entry| known.address == entry.address && known.learned > entry.learned;
        if entries.iter().any(is_newer) {
            return;
        }
        if let Some(known) = entries.iter().find(|known| known.address == entry.address) {
            // Other sessions may have it.
            entry.lent = known.lent;
            // A session that did not fill the path knows nothing better.
            if entry.path.window.is_none() {
                entry.path.window = known.path.window;
                entry.filled = known.filled;
            }
        }
        entries.retain(|known| known.address != entry.address && is_fresh(known, now));
        if entries.len() >= limits::KNOWN_PATHS_PER_KEY {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Returns what is known, for the timers of a session.
    fn get(&mut self, now: Instant, account: Account, address: IpAddr) -> Option<KnownPath> {
        let known = self.find(account, address)?;
        is_fresh(known, now).then_some(known.path)
    }

    /// Lends what is known to a session.
    fn lend(&mut self, now: Instant, account: Account, address: IpAddr) -> Option<KnownPath> {
        let known = self.find(account, address)?;
        if known.lent >= limits::KNOWN_PATH_SESSIONS || !is_fresh(known, now) {
            return None;
        }
        known.lent += 1;
        let mut path = known.path;
        path.window = path.window.filter(|_| is_recent(known.filled, now));
        Some(path)
    }

    /// Takes it back from such a session.
    fn give_back(&mut self, account: Account, address: IpAddr) {
        if let Some(known) = self.find(account, address) {
            known.lent = known.lent.saturating_sub(1);
        }
    }

    fn find(&mut self, account: Account, address: IpAddr) -> Option<&mut Entry> {
        let entries = self.of.get_mut(&account)?;
        entries.iter_mut().find(|known| known.address == address)
    }
}

fn is_fresh(entry: &Entry, now: Instant) -> bool {
    is_recent(entry.learned, now)
}

fn is_recent(learned: Instant, now: Instant) -> bool {
    now.since(learned) < limits::KNOWN_PATH_LIFETIME
}

impl Endpoint {
    /// Remembers the path of an agent's session that is over.
    pub(super) fn remember_path(&mut self, index: Index) {
        let session = &mut self.slots[index].session;
        if session.is_established() {
            return;
        }
        let borrowed = session.known_path_of.take();
        if let Some(admission) = &mut self.admission
            && let Some(identity) = &session.identity
            && let Some(address) = session.path.path.remote.ip()
        {
            let paths = &mut admission.known_paths;
            if let Some(borrowed) = borrowed {
                paths.give_back(identity.account, borrowed);
            }
            if let Some(path) = session.recovery.known_path()
                && session.path.validated
            {
                let entry = Entry {
                    address,
                    path,
                    learned: session.last_heard,
                    filled: session.last_heard,
                    lent: 0,
                };
                paths.store(identity.account, entry);
            }
        }
    }

    /// Passes on what is remembered of the path of a new session of an agent.
    pub(super) fn resume_path(&mut self, now: Instant, session: &mut Session) {
        if let Some(admission) = &mut self.admission
            && let Some(identity) = &session.identity
            && let Some(address) = session.path.path.remote.ip()
            && let Some(known) = admission.known_paths.get(now, identity.account, address)
        {
            session.recovery.resume_round_trip(&known);
            let lent = admission.known_paths.lend(now, identity.account, address);
            if let Some(known) = lent {
                session.recovery.resume(known);
                session.path.trust_address();
                session.known_path_of = Some(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::crypto::PublicKey;

    fn key(number: u64) -> Account {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Account::Key(PublicKey(bytes))
    }

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from(u32::try_from(number).unwrap()).into()
    }

    fn entry(number: usize, window: u64, learned: Instant) -> Entry {
        Entry {
            address: address(number),
            path: KnownPath {
                window: Some(window),
                rtt: Duration::from_millis(50),
                variation: Duration::from_millis(5),
            },
            learned,
            filled: learned,
            lent: 0,
        }
    }

    /// Window of a path that is lent and given back.
    fn window(
        paths: &mut KnownPaths,
        now: Instant,
        account: Account,
        number: usize,
    ) -> Option<u64> {
        let mut lend = || paths.lend(now, account, address(number));
        let known = lend();
        for _ in 1..limits::KNOWN_PATH_SESSIONS {
            assert_eq!(lend(), known);
        }
        assert_eq!(lend(), None, "to so many at a time");
        for _ in 0..limits::KNOWN_PATH_SESSIONS {
            paths.give_back(account, address(number));
        }
        known.and_then(|path| path.window)
    }

    #[test]
    fn a_path_is_that_of_a_key_and_an_address_and_the_latest_counts() {
        let (mut paths, now) = (KnownPaths::default(), Instant::ZERO);
        paths.store(key(1), entry(1, 100, now));
        paths.store(key(1), entry(2, 200, now));
        paths.store(key(1), entry(1, 300, now + Duration::from_secs(1)));
        // A session that was over before and is heard of again.
        paths.store(key(1), entry(1, 100, now));
        assert_eq!(window(&mut paths, now, key(1), 1), Some(300));
        assert_eq!(window(&mut paths, now, key(1), 2), Some(200));
        assert_eq!(window(&mut paths, now, key(1), 3), None);
        assert_eq!(window(&mut paths, now, key(2), 1), None);
    }

    #[test]
    fn a_session_that_does_not_fill_the_path_renews_the_address_and_not_the_window() {
        let (mut paths, now) = (KnownPaths::default(), Instant::ZERO);
        paths.store(key(1), entry(1, 100, now));
        let half = limits::KNOWN_PATH_LIFETIME / 2;
        let mut short = entry(1, 0, now + half);
        short.path.window = None;
        paths.store(key(1), short);
        assert_eq!(window(&mut paths, now + half, key(1), 1), Some(100));
        let later = now + half * 2;
        let known = paths.lend(later, key(1), address(1)).unwrap();
        assert_eq!(known.window, None);
    }

    #[test]
    fn what_another_session_learns_does_not_end_a_loan() {
        let (mut paths, now) = (KnownPaths::default(), Instant::ZERO);
        paths.store(key(1), entry(1, 100, now));
        for _ in 0..limits::KNOWN_PATH_SESSIONS {
            assert!(paths.lend(now, key(1), address(1)).is_some());
        }
        paths.store(key(1), entry(1, 200, now));
        assert_eq!(paths.lend(now, key(1), address(1)), None);
        for _ in 0..limits::KNOWN_PATH_SESSIONS {
            paths.give_back(key(1), address(1));
        }
        assert_eq!(window(&mut paths, now, key(1), 1), Some(200));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut paths = KnownPaths::default();
        paths.store(key(1), entry(1, 100, Instant::ZERO));
        let later = Instant::ZERO + limits::KNOWN_PATH_LIFETIME;
        assert_eq!(window(&mut paths, later, key(1), 1), None);
    }

    #[test]
    fn the_memory_is_bounded_and_one_key_takes_its_share() {
        let (mut paths, now) = (KnownPaths::default(), Instant::ZERO);
        for number in 0..2 * limits::KNOWN_PATHS_PER_KEY {
            paths.store(key(0), entry(number, 1, now));
        }
        assert_eq!(paths.of[&key(0)].len(), limits::KNOWN_PATHS_PER_KEY);
        for number in 0..2 * limits::KNOWN_PATHS_KEYS as u64 {
            paths.store(key(number), entry(1, 1, now));
        }
        assert_eq!(paths.of.len(), limits::KNOWN_PATHS_KEYS);
        // Old ones make room.
        let later = now + limits::KNOWN_PATH_LIFETIME;
        paths.store(key(u64::MAX), entry(1, 1, later));
        assert_eq!(paths.of.len(), 1);
    }
}
