//! Migration of the controller, and validation of the paths that it concerns (RFC 9000 §8.2, §9).
//!
//! A datagram with the highest counter so far moves the session to the address that it came from. Both that address
//! and the former one are challenged: if an attacker has only forwarded a genuine datagram from another address, the
//! answer of the controller comes from the former one and moves the session back (§9.3.3). PATH_CHALLENGE and
//! PATH_RESPONSE are repeated by the timers here, not by loss recovery. Invariant: a session whose path is not
//! validated has a deadline, after which it is back on a path that is.

use std::time::Duration;

use super::Session;
use super::path::PathState;
use super::sent::SentFrames;
use super::timers::Timer;
use crate::rng::Rng;
use crate::session::rtt::RttEstimator;
use crate::session::streams::Side;
use crate::session::{Path, Transmit, limits};
use crate::time::Instant;
use crate::wire::Frame;
use crate::wire::limits::{AEAD_TAG, DATA_HEADER, MIN_DATAGRAM};

impl Session {
    /// Handles the path of a datagram: follows a controller whose newest datagram came from another address.
    pub(super) fn on_path(&mut self, now: Instant, path: Path, counter: u64, bytes: usize) {
        if path == self.path.path {
            self.path.on_received(bytes);
            return;
        }
        if self.side == Side::Controller || counter < self.newest {
            return;
        }
        if path.remote == self.path.path.remote {
            // Only the local address or socket has changed.
            self.path.path = path;
            return;
        }
        let previous_path = self.previous_path.take();
        let new = match previous_path {
            // The controller has returned before the migration was validated.
            Some(previous_path) if previous_path.path.remote == path.remote => previous_path,
            _ => PathState::unvalidated(path, bytes),
        };
        let old = std::mem::replace(&mut self.path, new);
        if self.path.validated {
            self.path.challenge_due = false;
            self.stop_validation();
            return;
        }
        self.previous_path = if old.validated {
            Some(old)
        } else {
            previous_path
        };
        self.path.begin_validation();
        if let Some(previous_path) = &mut self.previous_path {
            previous_path.begin_validation();
        }
        let timeout = self.validation_timeout();
        self.timers.set(Timer::Path, now + timeout);
        self.timers
            .set(Timer::Challenge, now + challenge_interval(timeout));
    }

    /// Returns the time after which the validation of a path has failed (RFC 9000 §8.2.4).
    fn validation_timeout(&self) -> Duration {
        let new = RttEstimator::new(limits::INITIAL_RTT);
        self.recovery.pto().max(new.pto()) * 3
    }

    fn stop_validation(&mut self) {
        self.timers.stop(Timer::Path);
        self.timers.stop(Timer::Challenge);
    }

    /// Handles the expired challenge timer: challenges both paths again.
    pub(super) fn repeat_challenges(&mut self, now: Instant) {
        let previous_path = self.previous_path.iter_mut();
        for state in std::iter::once(&mut self.path).chain(previous_path) {
            state.repeat_challenge();
        }
        if self.path.challenge_due {
            let interval = challenge_interval(self.validation_timeout());
            self.timers.set(Timer::Challenge, now + interval);
        }
    }

    /// Handles the end of a validation that has failed: goes back to the former path.
    pub(super) fn on_validation_failed(&mut self) {
        self.stop_validation();
        if let Some(previous_path) = self.previous_path.take() {
            self.path = previous_path;
            self.path.challenge_due = false;
        }
    }

    pub(super) fn on_path_response(&mut self, now: Instant, path: Path, data: [u8; 8]) {
        if !self.path.was_challenged(data)
            || self.path.path.remote != path.remote
            || self.path.validated
        {
            return;
        }
        self.path.validated = true;
        self.path.challenge_due = false;
        self.moved = true;
        self.stop_validation();
        let previous_path = self.previous_path.take();
        // If only the port has changed, the path is the same behind another NAT binding, and its estimates
        // stay valid (RFC 9000 §9.4).
        if previous_path
            .is_none_or(|previous_path| !previous_path.path.remote.is_same_host(&path.remote))
        {
            self.recovery
                .on_new_path(now, MIN_DATAGRAM as u64, u64::from_be_bytes(data));
        }
        self.recovery.forget_backoff();
        self.push_moved(path);
    }

    /// Writes a PATH_RESPONSE or a PATH_CHALLENGE that is due and within the budget of its address.
    pub(super) fn transmit_path_frames(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if let Some((path, data)) = self.path_response.take()
            && let Some(transmit) = self.transmit_path(now, path, Frame::PathResponse(data), buf)
        {
            return Some(transmit);
        }
        let data = [0; 8];
        let size = DATA_HEADER + Frame::PathChallenge(data).size() + AEAD_TAG;
        let previous_path = self.previous_path.iter_mut();
        let state = std::iter::once(&mut self.path)
            .chain(previous_path)
            .find(|state| state.challenge_due && state.budget() >= size as u64)?;
        let data = rng.bytes();
        state.on_challenge_sent(data);
        let path = state.path;
        self.transmit_path(now, path, Frame::PathChallenge(data), buf)
    }

    /// Writes a datagram that holds only a PATH_CHALLENGE or PATH_RESPONSE, for a path that may not be the
    /// current one.
    fn transmit_path(
        &mut self,
        now: Instant,
        path: Path,
        frame: Frame<'_>,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let length = DATA_HEADER + frame.size() + AEAD_TAG;
        let to = self.path_state(path)?;
        if to.budget() < length as u64 {
            return None;
        }
        to.on_sent(length);
        let start = self.begin(buf);
        frame.encode(buf);
        // On a path that may not carry it, its loss is no sign of congestion, and no probe repeats it.
        self.finish(now, buf, start, false, SentFrames::new());
        Some(Transmit::single(path))
    }

    fn path_state(&mut self, path: Path) -> Option<&mut PathState> {
        if self.path.path.remote == path.remote {
            return Some(&mut self.path);
        }
        self.previous_path
            .as_mut()
            .filter(|previous_path| previous_path.path.remote == path.remote)
    }
}

/// Returns the time between two PATH_CHALLENGEs: they are spread over the time of the validation.
fn challenge_interval(timeout: Duration) -> Duration {
    let count = u32::try_from(limits::CHALLENGES).expect("a few");
    timeout / count
}
