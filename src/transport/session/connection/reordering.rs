//! Adaptation of loss detection to the reordering of a path (RFC 9002 §6.1.1).
//!
//! The datagrams that were declared lost last are remembered. An ACK for one of them shows that the loss was
//! spurious: the datagram was only late, and the thresholds rise above its delay. Invariants: the thresholds of
//! a path never fall, and they and the memory are bounded.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::sent::SentPacket;
use crate::session::congestion::PacketState;
use crate::session::limits;
use crate::time::{Instant, micros};

/// An ack-eliciting datagram that was declared lost.
#[derive(Debug)]
pub(in crate::session) struct LostPacket {
    pub(in crate::session) counter: u64,
    pub(in crate::session) time: Instant,
    /// Size as it was reported to the congestion controller.
    pub(in crate::session) bytes: u64,
    pub(in crate::session) rate: PacketState,
}

/// Thresholds of loss detection, and the datagrams that they declared lost.
#[derive(Debug)]
pub(in crate::session) struct Reordering {
    packet_threshold: u64,
    /// In eighths of a round trip.
    time_threshold: u32,
    /// In ascending order of counters.
    lost: VecDeque<LostPacket>,
}

impl Reordering {
    pub(in crate::session) const fn new() -> Self {
        Self {
            packet_threshold: limits::PACKET_THRESHOLD,
            time_threshold: limits::TIME_THRESHOLD,
            lost: VecDeque::new(),
        }
    }

    pub(in crate::session) const fn packet_threshold(&self) -> u64 {
        self.packet_threshold
    }

    /// Returns the time threshold in eighths of a round trip.
    pub(in crate::session) const fn time_threshold(&self) -> u32 {
        self.time_threshold
    }

    /// Remembers a datagram that was declared lost. Datagrams are declared lost in order of their counters.
    pub(in crate::session) fn on_lost(&mut self, counter: u64, packet: &SentPacket) {
        if !packet.eliciting {
            return;
        }
        if self.lost.len() == limits::LOST_REMEMBERED {
            self.lost.pop_front();
        }
        self.lost.push_back(LostPacket {
            counter,
            time: packet.time,
            bytes: packet.bytes,
            rate: packet.rate,
        });
    }

    /// Removes the datagrams from the memory that an ACK of `range` shows to have arrived.
    pub(in crate::session) fn take(
        &mut self,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = LostPacket> + '_ {
        let from = self
            .lost
            .partition_point(|lost| lost.counter < *range.start());
        let to = self
            .lost
            .partition_point(|lost| lost.counter <= *range.end());
        self.lost.drain(from..to.max(from))
    }

    /// Returns the lowest counter in the memory.
    pub(in crate::session) fn oldest(&self) -> Option<u64> {
        self.lost.front().map(|lost| lost.counter)
    }

    /// Raises the thresholds above the reordering of a datagram that was acknowledged `age` after it was sent, and
    /// after the datagram whose counter is higher by `distance`.
    pub(in crate::session) fn on_late(&mut self, distance: u64, age: Duration, rtt: Duration) {
        self.packet_threshold = distance
            .saturating_add(1)
            .min(limits::MAX_PACKET_THRESHOLD)
            .max(self.packet_threshold);
        let eighths = micros(age).saturating_mul(8) / micros(rtt).max(1) + 1;
        self.time_threshold = u32::try_from(eighths)
            .unwrap_or(u32::MAX)
            .min(limits::MAX_TIME_THRESHOLD)
            .max(self.time_threshold);
    }
}
