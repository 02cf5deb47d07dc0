//! Delivery-rate samples (draft-ietf-ccwg-bbr §4.1, Cheng et al.).

use std::time::Duration;

use crate::time::Instant;

/// What a packet remembers of the connection at its sending.
#[derive(Clone, Copy, Debug)]
pub struct PacketState {
    _todo: (),
}

/// A measured delivery rate.
#[derive(Clone, Copy, Debug)]
pub struct RateSample {
    /// Bytes per second.
    pub rate: u64,
    /// The sender had nothing more to send during the sample: the path may be faster.
    pub app_limited: bool,
    /// Bytes delivered on the connection when the packet was sent: marks round trips.
    pub prior_delivered: u64,
    /// Bytes delivered by now.
    pub delivered: u64,
    /// The interval measured over.
    pub interval: Duration,
}

/// The connection's delivery counters.
#[derive(Debug, Default)]
pub struct DeliveryRate {
    _todo: (),
}

impl DeliveryRate {
    /// A packet is about to be sent with `in_flight` bytes before it.
    pub fn on_sent(&mut self, now: Instant, in_flight: u64) -> PacketState {
        todo!()
    }

    /// A packet was acknowledged; call for each, oldest first.
    pub fn on_acked(&mut self, now: Instant, packet: &PacketState, sent: Instant, bytes: u64) {
        todo!()
    }

    /// The sample of the ACK that was just processed; resets it.
    pub fn take_sample(&mut self, min_rtt: Duration) -> Option<RateSample> {
        todo!()
    }

    /// There is nothing to send although the window is open: samples until `in_flight` bytes are
    /// delivered say less.
    pub fn on_app_limited(&mut self, in_flight: u64) {
        todo!()
    }
}
