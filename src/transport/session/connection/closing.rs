//! The end of a session, by either side or by a bound, and the facts that decide about it.

use super::{Session, State, Timer};
use crate::peer_addr::PeerAddr;
use crate::session::{Closed, Event, Held, Violation};
use crate::time::Instant;
use crate::wire::CloseCode;

impl Session {
    /// Starts to close the session, without an event.
    pub(in crate::session) fn close(&mut self, now: Instant, code: u64, reason: String) {
        self.state = State::Closing {
            code,
            reason,
            due: true,
            repeats: 0,
        };
        self.timers.stop_all();
        self.timers
            .set(Timer::Linger, now + self.recovery.pto() * 3);
    }

    /// Closes a session whose key has sealed as much as is safe.
    pub(in crate::session) fn retire_key(&mut self, now: Instant) {
        self.close(
            now,
            CloseCode::KeyUsedUp as u64,
            "the session's key is used up".to_owned(),
        );
        self.take_stream_events();
        self.events.push_back(Event::Closed {
            session: self.id,
            reason: Closed::KeyUsedUp,
        });
    }

    /// Returns true if an address was proved to be the peer's.
    pub(in crate::session) fn is_validated(&self, remote: PeerAddr) -> bool {
        let previous_path = self.previous_path.iter();
        let mut paths = std::iter::once(&self.path).chain(previous_path);
        paths.any(|state| state.validated && state.path.remote == remote)
    }

    /// Returns true if the session is confirmed and has no open call.
    pub(in crate::session) fn is_idle(&self) -> bool {
        self.is_established() && self.resp.is_none() && self.streams.open_calls() == 0
    }

    /// Returns the memory of streams that the session holds.
    pub(in crate::session) fn held(&self) -> Held {
        if self.is_established() {
            self.streams.held()
        } else {
            Held::default()
        }
    }

    /// Agent: closes an idle session in favour of a newer one of its key.
    pub(in crate::session) fn evict(&mut self, now: Instant) {
        let reason = "this key has too many sessions".to_owned();
        self.close_with(now, CloseCode::Evicted, reason, Closed::Evicted);
    }

    /// Agent: closes the session of a key that may not connect from its new address.
    pub(in crate::session) fn deny(&mut self, now: Instant) {
        let reason = "this key may not connect from there".to_owned();
        self.close_with(now, CloseCode::Revoked, reason, Closed::Denied);
    }

    fn close_with(&mut self, now: Instant, code: CloseCode, text: String, reason: Closed) {
        if self.is_established() {
            self.close(now, code as u64, text);
            self.streams.forget();
            self.events.push_back(Event::Closed {
                session: self.id,
                reason,
            });
        }
    }

    /// Closes the session because of a violation of the peer.
    pub(in crate::session) fn violate(&mut self, now: Instant, violation: Violation) {
        if !matches!(self.state, State::Established) {
            return;
        }
        self.close(now, CloseCode::Violation as u64, violation.to_string());
        self.events.push_back(Event::Closed {
            session: self.id,
            reason: Closed::Violation(violation),
        });
    }

    /// Ends the session without a CLOSE.
    pub(in crate::session) fn end(&mut self, reason: Closed) {
        self.state = State::Gone;
        self.timers.stop_all();
        self.take_stream_events();
        self.events.push_back(Event::Closed {
            session: self.id,
            reason,
        });
    }
}
