//! The timers of a session.

use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Timer {
    /// Next INIT, repeated or new, or the attempt at the next address.
    Init,
    /// End of a session whose agent did not answer.
    Contact,
    /// End of a session whose handshake the controller did not confirm.
    Unconfirmed,
    /// Loss detection, or a probe.
    Recovery,
    /// Delayed acknowledgement.
    Ack,
    /// Next datagram allowed by the pacer.
    Pacing,
    /// End of the validation of a new path, after which the previous one is used again.
    Path,
    /// Next PATH_CHALLENGE of that validation.
    Challenge,
    /// PING on an idle session.
    KeepAlive,
    /// Silence of which the application is notified.
    Silence,
    /// End of an idle session.
    Idle,
    /// End of a closed session, after late datagrams of the peer.
    Linger,
}

impl Timer {
    pub(in crate::session) const ALL: [Self; 12] = [
        Self::Init,
        Self::Contact,
        Self::Unconfirmed,
        Self::Recovery,
        Self::Ack,
        Self::Pacing,
        Self::Path,
        Self::Challenge,
        Self::KeepAlive,
        Self::Silence,
        Self::Idle,
        Self::Linger,
    ];
}

#[derive(Default, Debug)]
pub(in crate::session) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    pub(in crate::session) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets a timer, or stops it if `at` is `None`.
    pub(in crate::session) fn put(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    pub(in crate::session) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(in crate::session) fn stop_all(&mut self) {
        *self = Self::default();
    }

    pub(in crate::session) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Stops and returns a timer that has expired.
    pub(in crate::session) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL
            .into_iter()
            .find(|&timer| self.0[timer as usize].is_some_and(|at| at <= now))?;
        self.stop(timer);
        Some(timer)
    }
}
