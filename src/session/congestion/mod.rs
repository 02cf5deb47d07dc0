//! How fast: a congestion controller sees what was sent, acknowledged and lost, and answers with a
//! window and a pacing rate. Sizes are bytes of UDP payload, rates bytes per second.

mod bbr;
mod limits;
#[cfg(test)]
mod model;
mod pacing;
mod rate;

pub use pacing::Pacer;
pub use rate::{DeliveryRate, PacketState, RateSample};

use std::time::Duration;

use crate::time::Instant;

/// What one ACK frame told, summed over the packets it newly acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Bytes newly acknowledged.
    pub bytes: u64,
    /// Bytes in flight after that.
    pub in_flight: u64,
    /// Latest round-trip sample, if this ACK gave one.
    pub rtt: Option<Duration>,
    /// The lowest round-trip time of the path so far.
    pub min_rtt: Duration,
    /// The delivery-rate sample of the newest packet it acknowledged.
    pub rate: Option<RateSample>,
    /// The acknowledging side had nothing more to send at that time.
    pub app_limited: bool,
    /// A packet among them was marked Congestion Experienced.
    pub ce: bool,
}

/// What was found lost at once.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// Bytes.
    pub bytes: u64,
    /// Bytes in flight after that.
    pub in_flight: u64,
    /// When the newest of them was sent.
    pub newest_sent: Instant,
    /// Persistent congestion (RFC 9002 §7.6).
    pub persistent: bool,
}

/// A congestion controller. Sans-IO like all of this floor.
pub trait Controller: Send {
    /// A datagram of so many bytes was sent; `in_flight` includes it.
    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64);
    /// An ACK frame was processed.
    fn on_acked(&mut self, now: Instant, acked: &Acked);
    /// Packets were found lost.
    fn on_lost(&mut self, now: Instant, lost: &Lost);
    /// Bytes that may be in flight.
    fn window(&self) -> u64;
    /// Bytes per second at which to send.
    fn pacing_rate(&self) -> u64;
    /// The path's datagram size has changed.
    fn on_datagram_size(&mut self, bytes: u64);
}

/// The controller for a new path, on which datagrams have `datagram` bytes. The `seed` spreads its
/// probing, so that flows that start together do not probe together.
#[must_use]
pub fn new(now: Instant, datagram: u64, seed: u64) -> Box<dyn Controller> {
    Box::new(bbr::Bbr::new(now, datagram, seed))
}
