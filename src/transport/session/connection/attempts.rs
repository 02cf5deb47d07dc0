//! Addresses of an agent during a handshake: one attempt for each, begun one after the other (RFC 8305 §5).
//!
//! Not the INITs, which `handshake` makes. All attempts belong to one session, so that the agent takes the early data of
//! one of them only, and the first RESP ends them all. Invariants: the first attempt begins at once, and each further
//! one after a delay, or at once when the one before cannot be sent; an attempt that has begun goes on until the end of
//! the handshake.

use std::collections::VecDeque;
use std::time::Duration;

use super::init_flight::InitFlight;
use super::{Session, State};
use crate::peer_addr::PeerAddr;
use crate::session::{Drop, Path, limits};
use crate::time::Instant;
use crate::wire::SessionId;
use crate::wire::limits::TOKEN;

/// Handshake with one address.
pub(super) struct Attempt {
    pub(super) path: Path,
    /// Outstanding INITs, newest last; at most [`limits::INITS`].
    pub(super) flights: Vec<InitFlight>,
    /// Token for the next INIT.
    pub(super) token: Option<[u8; TOKEN]>,
    /// Number of RETRYs followed.
    retries: u32,
    /// Number of stateless resets followed.
    resets: u32,
    /// True if an INIT is to be sent now.
    due: bool,
    /// Number of times that the last INIT is to be sent once more now.
    copies: u8,
    /// Number of times that the time for an answer has passed.
    timeouts: u32,
    /// Time at which the next INIT is due.
    repeat_at: Option<Instant>,
}

impl Attempt {
    const fn new(path: Path) -> Self {
        Self {
            path,
            flights: Vec::new(),
            token: None,
            retries: 0,
            resets: 0,
            due: true,
            copies: 0,
            timeouts: 0,
            repeat_at: None,
        }
    }

    /// Returns an outstanding INIT.
    pub(super) fn flight(&mut self, init: SessionId) -> Option<&mut InitFlight> {
        self.flights.iter_mut().find(|flight| flight.id == init)
    }

    fn has(&self, init: SessionId) -> bool {
        self.flights.iter().any(|flight| flight.id == init)
    }

    /// Returns true, once for each copy, if the last INIT is to be sent once more now.
    pub(super) fn take_copy(&mut self) -> bool {
        let is_due = !self.due && self.copies > 0;
        self.copies -= u8::from(is_due);
        is_due
    }

    /// Records that an INIT is sent. `pto` is the time for an answer; a busy agent, which has sent RETRY, gets more.
    pub(super) fn on_sent(&mut self, now: Instant, pto: Duration) {
        let least = if self.retries > 0 {
            limits::BUSY
        } else {
            Duration::ZERO
        };
        let backoff = 2_u32.saturating_pow(self.timeouts.min(16));
        let timeout = (pto.max(least) * backoff).min(limits::MAX_INIT_TIMEOUT);
        self.due = false;
        self.repeat_at = Some(now + timeout);
    }

    /// Follows a RETRY that is genuine; returns false if enough were followed.
    pub(super) fn on_retry(&mut self, token: [u8; TOKEN]) -> bool {
        if self.retries >= limits::RETRIES {
            return false;
        }
        self.retries += 1;
        self.token = Some(token);
        self.renew();
        true
    }

    /// Follows a stateless reset; returns false if enough were followed, or it is not for the newest INIT.
    pub(super) fn on_stateless_reset(&mut self, receiver: SessionId) -> bool {
        let newest = self.flights.last().map(|flight| flight.id);
        if newest != Some(receiver) || self.resets >= limits::RESETS_FOLLOWED {
            return false;
        }
        self.resets += 1;
        self.renew();
        true
    }

    /// Has a new INIT sent now, in place of further repeats.
    fn renew(&mut self) {
        if let Some(flight) = self.flights.last_mut() {
            flight.repeats = limits::INIT_REPEATS;
        }
        self.due = true;
        self.copies = 0;
    }
}

/// Attempts of one handshake.
pub(super) struct Attempts {
    /// In the order of their beginning; not empty.
    pub(super) begun: Vec<Attempt>,
    /// Addresses without an attempt, best first.
    waiting: VecDeque<Path>,
    delay: Duration,
    /// Time at which the next attempt begins, if there is one.
    next_at: Instant,
    /// Lower bound of the time for an answer.
    pub(super) least_timeout: Duration,
}

impl Attempts {
    /// Creates the attempts of a handshake that begins now and may take `timeout`. The first one is due.
    pub(super) fn new(now: Instant, first: Path, further: Vec<Path>, timeout: Duration) -> Self {
        let waiting: VecDeque<_> = further.into_iter().take(limits::PATHS - 1).collect();
        // In a short time each address gets its turn too.
        let shares = u32::try_from(2 * (1 + waiting.len())).unwrap_or(u32::MAX);
        let delay = (timeout / shares).clamp(limits::ATTEMPT_DELAY_MIN, limits::ATTEMPT_DELAY);
        Self {
            begun: vec![Attempt::new(first)],
            waiting,
            delay,
            next_at: now + delay,
            least_timeout: Duration::ZERO,
        }
    }

    /// Takes into account that the answers of `sessions` come before.
    pub(super) fn wait_behind(&mut self, sessions: usize) {
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        let wait = limits::LATER_ANSWER.saturating_mul(sessions);
        self.least_timeout = wait.min(limits::BUSY);
    }

    /// Begins the next attempt, if an address is left.
    fn begin_next(&mut self, now: Instant) {
        if let Some(path) = self.waiting.pop_front() {
            self.begun.push(Attempt::new(path));
            self.next_at = now + self.delay;
        }
    }

    /// Returns the index of an attempt whose INIT is to be sent now.
    pub(super) fn due(&self) -> Option<usize> {
        let is_due = |attempt: &Attempt| attempt.due || attempt.copies > 0;
        self.begun.iter().position(is_due)
    }

    /// Returns the attempt that a datagram from an address answers.
    pub(super) fn answered(
        &mut self,
        init: SessionId,
        from: PeerAddr,
    ) -> Result<&mut Attempt, Drop> {
        let mut attempts = self.begun.iter_mut();
        let attempt = attempts.find(|attempt| attempt.has(init));
        attempt
            .filter(|attempt| attempt.path.remote == from)
            .ok_or(Drop::Unexpected)
    }

    /// Returns the time of the next INIT or attempt.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let repeats = self.begun.iter().filter_map(|attempt| attempt.repeat_at);
        let next = Some(self.next_at).filter(|_| !self.waiting.is_empty());
        repeats.chain(next).min()
    }

    /// Makes due what the time has come for. A repeat is `datagrams` datagrams.
    pub(super) fn handle_timeout(&mut self, now: Instant, datagrams: u8) {
        for attempt in &mut self.begun {
            if attempt.repeat_at.is_some_and(|at| at <= now) {
                attempt.repeat_at = None;
                attempt.timeouts += 1;
                attempt.due = true;
                attempt.copies = datagrams.saturating_sub(1);
            }
        }
        if self.next_at <= now {
            self.begin_next(now);
        }
    }

    /// An INIT could not be sent. If it is of the newest attempt, the next one begins at once.
    pub(super) fn on_unsent(&mut self, now: Instant, init: SessionId) {
        if self.begun.last().is_some_and(|newest| newest.has(init)) {
            self.begin_next(now);
        }
    }
}

impl Session {
    /// Controller: handles an INIT that could not be sent.
    pub(in crate::session) fn on_unsent(&mut self, now: Instant, init: SessionId) {
        if let State::Connecting(connecting) = &mut self.state {
            connecting.attempts.on_unsent(now, init);
        }
    }
}
