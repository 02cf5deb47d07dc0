//! A token bucket that spreads a window over a round trip.

use crate::time::Instant;

/// Says when the next datagrams may leave.
#[derive(Debug)]
pub struct Pacer {
    _todo: (),
}

impl Pacer {
    /// A full bucket.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        todo!()
    }

    /// Bytes that may be sent now, at `rate` bytes per second; at least one datagram's worth when any.
    pub fn allowance(&mut self, now: Instant, rate: u64) -> u64 {
        todo!()
    }

    /// So many were sent.
    pub fn on_sent(&mut self, bytes: u64) {
        todo!()
    }

    /// When `bytes` will be allowed, if they are not now.
    #[must_use]
    pub fn ready_at(&self, now: Instant, bytes: u64, rate: u64) -> Instant {
        todo!()
    }
}
