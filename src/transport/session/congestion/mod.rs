//! Congestion control: a controller learns which packets were sent, acknowledged and lost, and
//! answers with a congestion window and a pacing rate.
//!
//! Not here: loss detection and round-trip estimation, which feed the controller (RFC 9002 §5 and
//! §6). Sizes are bytes of UDP payload, rates are bytes per second.

mod bbr;
mod limits;
mod pacing;
mod rate;
#[cfg(test)]
mod testbed;

pub use pacing::Pacer;
pub use rate::{DeliveryRate, PacketState, RateSample};

use std::time::Duration;

use crate::time::Instant;

/// Result of one ACK frame, summed over the packets that it newly acknowledges.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Bytes newly acknowledged.
    pub bytes: u64,
    /// Bytes in flight after this ACK.
    pub in_flight: u64,
    /// Round-trip sample of this ACK, if it gave one (RFC 9002 §5.1).
    pub rtt: Option<Duration>,
    /// Lowest round-trip time of the path so far (RFC 9002 §5.2).
    pub min_rtt: Duration,
    /// Delivery-rate sample of the newest packet that it acknowledges.
    pub rate: Option<RateSample>,
    /// True if that sample is application-limited.
    pub app_limited: bool,
    /// True if one of the packets was marked Congestion Experienced (RFC 3168).
    pub ce: bool,
}

/// Packets declared lost together.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// Bytes lost.
    pub bytes: u64,
    /// Bytes in flight after this loss.
    pub in_flight: u64,
    /// Time at which the newest of the packets was sent.
    pub newest_sent: Instant,
    /// True if the loss establishes persistent congestion (RFC 9002 §7.6).
    pub persistent: bool,
}

/// Knowledge of a path from an earlier session over it, or from the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownPath {
    /// Bytes in flight that filled it, its bandwidth-delay product; `None` if it was never filled.
    pub window: Option<u64>,
    /// Its round-trip time without a queue.
    pub rtt: Duration,
    /// Mean variation of its round-trip time, for the timers of the session; a controller returns 0.
    pub variation: Duration,
}

/// A congestion controller. Sans-IO, like everything in this layer.
pub trait Controller: Send {
    /// Notes that a datagram of `bytes` bytes was sent. `in_flight` includes it.
    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64);
    /// Processes an ACK frame.
    fn on_acked(&mut self, now: Instant, acked: &Acked);
    /// Processes a loss.
    fn on_lost(&mut self, now: Instant, lost: &Lost);
    /// Processes a spurious loss: packets of `bytes` bytes that were reported lost have arrived after all. Called
    /// before [`on_acked`](Self::on_acked) for the same ACK, which counts them as acknowledged.
    fn on_spurious(&mut self, now: Instant, bytes: u64);
    /// Returns the congestion window: the bytes that may be in flight.
    fn window(&self) -> u64;
    /// Returns the pacing rate in bytes per second.
    fn pacing_rate(&self) -> u64;
    /// Adopts a new datagram size of the path.
    fn on_datagram_size(&mut self, bytes: u64);
    /// Begins with what is known of the path. Without effect once anything was acknowledged.
    fn resume(&mut self, known: KnownPath);
    /// Returns what was learned of the path, if anything was acknowledged.
    fn known_path(&self) -> Option<KnownPath>;
}

/// Returns the controller for a new path whose datagrams have `datagram` bytes. The `seed`
/// randomises the times at which it probes, so that flows that start together do not probe
/// together.
#[must_use]
pub fn new(now: Instant, datagram: u64, seed: u64) -> Box<dyn Controller> {
    Box::new(bbr::Bbr::new(now, datagram, seed))
}
