//! Denied sessions, noticed on the network thread, for the log and the audit, which the front's loop writes.
//!
//! A key that is not listed has no entry of its own: all strangers share one. Invariant: a key has at most one report in
//! a minute, however often it tries, and all keys together have a bounded number; the number of denials without a
//! report of their own is part of the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::{DENIAL_INTERVAL, DENIALS};
use crate::agent::access::{Denied, Policy};
use crate::agent::note::SessionDenial;
use crate::crypto::PublicKey;
use crate::peer_addr::PeerAddr;
use crate::time::Instant;

/// Keys that share a report.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Who {
    /// A listed key.
    Key(PublicKey),
    /// All keys that are not listed.
    Strangers,
    /// Listed keys beyond the bound.
    Others,
}

/// The denials since a report.
struct Recent {
    /// Time of the report.
    since: Instant,
    /// Denials after it.
    count: u64,
    last: SessionDenial,
}

#[derive(Default)]
struct State {
    recent: HashMap<Who, Recent>,
    due: Vec<SessionDenial>,
}

/// Denied sessions. Clones share them.
#[derive(Clone)]
pub struct SessionDenials {
    state: Arc<Mutex<State>>,
    /// Wakes the loop.
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl SessionDenials {
    /// Returns an empty list. `wake` wakes the loop that [polls](Self::poll) it.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let state = Arc::default();
        Self { state, wake }
    }

    /// Notes a denial.
    pub fn push(
        &self,
        now: Instant,
        policy: &Policy,
        key: &PublicKey,
        address: PeerAddr,
        reason: Denied,
    ) {
        let name = policy.member(key).map(|member| member.name.clone());
        let denial = SessionDenial {
            key: *key,
            name,
            address,
            reason,
            left_out: 0,
        };
        if self.lock().push(now, denial) {
            (self.wake)();
        }
    }

    /// Returns the next report.
    pub fn poll(&self, now: Instant) -> Option<SessionDenial> {
        self.lock().poll(now)
    }

    /// Returns the time of the next call of [`poll`](Self::poll).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lock().poll_timeout()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns true if the loop must be woken.
    fn push(&mut self, now: Instant, denial: SessionDenial) -> bool {
        let expired = |recent: &Recent| now.since(recent.since) >= DENIAL_INTERVAL;
        self.recent
            .retain(|_, recent| recent.count > 0 || !expired(recent));
        let who = match denial.name {
            None => Who::Strangers,
            Some(_) => Who::Key(denial.key),
        };
        let known = self.recent.contains_key(&who);
        let who = if known || self.recent.len() < DENIALS {
            who
        } else {
            Who::Others
        };
        if let Some(recent) = self.recent.get_mut(&who) {
            recent.count = recent.count.saturating_add(1);
            recent.last = denial;
            return recent.count == 1;
        }
        self.report(now, who, denial);
        true
    }

    fn report(&mut self, now: Instant, who: Who, denial: SessionDenial) {
        let recent = Recent {
            since: now,
            count: 0,
            last: denial.clone(),
        };
        self.recent.insert(who, recent);
        self.due.push(denial);
    }

    fn poll(&mut self, now: Instant) -> Option<SessionDenial> {
        if self.due.is_empty() {
            let due =
                |recent: &Recent| recent.count > 0 && now.since(recent.since) >= DENIAL_INTERVAL;
            let (&who, recent) = self.recent.iter().find(|(_, recent)| due(recent))?;
            let denial = SessionDenial {
                left_out: recent.count - 1,
                ..recent.last.clone()
            };
            self.report(now, who, denial);
        }
        self.due.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(Instant::ZERO);
        }
        let waiting = self.recent.values().filter(|recent| recent.count > 0);
        waiting.map(|recent| recent.since + DENIAL_INTERVAL).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(number: u8, name: Option<&str>) -> SessionDenial {
        SessionDenial {
            key: PublicKey([number; 32]),
            name: name.map(str::to_owned),
            address: PeerAddr::from_id(number.into()),
            reason: Denied::Expired,
            left_out: 0,
        }
    }

    #[test]
    fn a_denied_key_has_one_report_in_a_minute_and_the_next_counts_the_others() {
        let mut state = State::default();
        let now = Instant::from_micros(1);
        assert!(state.push(now, denial(1, Some("a"))));
        assert_eq!(state.poll(now), Some(denial(1, Some("a"))));
        assert_eq!((state.poll(now), state.poll_timeout()), (None, None));
        assert!(state.push(now, denial(1, Some("a"))), "a timer is needed");
        for _ in 0..3 {
            assert!(!state.push(now, denial(1, Some("a"))));
        }
        assert!(
            state.push(now, denial(2, Some("b"))),
            "another key has its own"
        );
        assert_eq!(state.poll(now), Some(denial(2, Some("b"))));
        assert_eq!(state.poll(now), None);
        let later = now + DENIAL_INTERVAL;
        assert_eq!(state.poll_timeout(), Some(later));
        let left_out = 3;
        let summary = SessionDenial {
            left_out,
            ..denial(1, Some("a"))
        };
        assert_eq!(state.poll(later), Some(summary));
        assert_eq!((state.poll(later), state.poll_timeout()), (None, None));
        assert!(
            state.push(later, denial(1, Some("a"))),
            "again one a minute"
        );
        assert_eq!(state.poll(later), None);
    }

    #[test]
    fn strangers_share_one_report_and_the_number_of_reports_is_bounded() {
        let mut state = State::default();
        let now = Instant::from_micros(1);
        for number in 0..=255 {
            state.push(now, denial(number, None));
        }
        assert_eq!(state.poll(now), Some(denial(0, None)));
        assert_eq!(state.poll(now), None);
        for number in 0..=255 {
            state.push(now, denial(number, Some("listed")));
        }
        let reports = std::iter::from_fn(|| state.poll(now)).count();
        assert_eq!(reports, DENIALS);
        let later = now + DENIAL_INTERVAL;
        let reports: Vec<_> = std::iter::from_fn(|| state.poll(later)).collect();
        let left_out: u64 = reports.iter().map(|denial| denial.left_out + 1).sum();
        assert_eq!(left_out, 255 + 256 - DENIALS as u64);
    }
}
