//! The timers of a session: one enum, one table.

use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Timer {
    /// Repeat INIT, or make it anew.
    Init,
    /// Nothing answered at all.
    Contact,
    /// The controller never confirmed the handshake.
    Unconfirmed,
    /// Loss detection, or a probe.
    Recovery,
    /// An acknowledgement is due.
    Ack,
    /// The pacer lets the next datagram go.
    Pacing,
    /// The new path was not validated in time.
    Path,
    /// Time to ask whether the peer is there.
    KeepAlive,
    /// The application wants to know of silence.
    Silence,
    /// Nothing was heard for too long.
    Idle,
    /// The last echo of a closed session may be forgotten.
    Linger,
}

impl Timer {
    pub(in crate::session) const ALL: [Self; 11] = [
        Self::Init,
        Self::Contact,
        Self::Unconfirmed,
        Self::Recovery,
        Self::Ack,
        Self::Pacing,
        Self::Path,
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

    /// Sets, or stops it for `None`.
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

    /// Takes one that has expired.
    pub(in crate::session) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL
            .into_iter()
            .find(|&timer| self.0[timer as usize].is_some_and(|at| at <= now))?;
        self.stop(timer);
        Some(timer)
    }
}
