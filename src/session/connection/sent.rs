//! Sent datagrams that are neither acknowledged nor lost, by counter, and the frames in them.
//!
//! A ring over consecutive counters. Invariants: `in_flight` is the sum of the sizes of the
//! ack-eliciting datagrams in it. A datagram that is not ack-eliciting may never be acknowledged: beyond
//! [`limits::SENT_NON_ELICITING`] datagrams it is discarded, unless an older ack-eliciting one is kept.

use std::collections::VecDeque;

use crate::session::congestion::PacketState;
use crate::session::limits;
use crate::session::streams::{Chunk, StreamFrame};
use crate::time::Instant;
use crate::wire::StreamId;

/// Content of a sent datagram that needs handling when the datagram is acknowledged or lost.
#[derive(Clone, Debug)]
pub(in crate::session) enum SentFrame {
    Chunk(StreamId, Chunk),
    Frame(StreamFrame),
    MaxData,
    /// An ACK frame, by its largest counter.
    Ack(u64),
}

#[derive(Debug)]
pub(in crate::session) struct SentPacket {
    pub(in crate::session) time: Instant,
    pub(in crate::session) bytes: u64,
    pub(in crate::session) eliciting: bool,
    pub(in crate::session) rate: PacketState,
    pub(in crate::session) frames: Vec<SentFrame>,
}

#[derive(Default, Debug)]
pub(in crate::session) struct SentPackets {
    base: u64,
    packets: VecDeque<Option<SentPacket>>,
    in_flight: u64,
    eliciting: usize,
}

impl SentPackets {
    /// Returns the counter of the next datagram.
    pub(in crate::session) fn next_counter(&self) -> u64 {
        self.base + self.packets.len() as u64
    }

    pub(in crate::session) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(in crate::session) const fn has_eliciting(&self) -> bool {
        self.eliciting > 0
    }

    /// Adds the datagram with the next counter.
    pub(in crate::session) fn push(&mut self, packet: SentPacket) {
        if packet.eliciting {
            self.in_flight += packet.bytes;
            self.eliciting += 1;
        }
        self.packets.push_back(Some(packet));
        while self.packets.len() > limits::SENT_NON_ELICITING
            && let Some(
                None
                | Some(SentPacket {
                    eliciting: false, ..
                }),
            ) = self.packets.front()
        {
            self.packets.pop_front();
            self.base += 1;
        }
    }

    /// Returns true if the peer acknowledges so little that no datagram may be added that is not
    /// ack-eliciting.
    pub(in crate::session) fn is_overfull(&self) -> bool {
        self.packets.len() > limits::SENT
    }

    /// Skips a counter, used by a datagram that is not tracked.
    pub(in crate::session) fn skip(&mut self) {
        self.packets.push_back(None);
        self.trim();
    }

    /// Removes a datagram.
    pub(in crate::session) fn take(&mut self, counter: u64) -> Option<SentPacket> {
        let index = usize::try_from(counter.checked_sub(self.base)?).ok()?;
        let packet = self.packets.get_mut(index)?.take()?;
        if packet.eliciting {
            self.in_flight -= packet.bytes;
            self.eliciting -= 1;
        }
        Some(packet)
    }

    /// Discards the leading counters whose datagrams were removed. Called after `take`.
    pub(in crate::session) fn trim(&mut self) {
        while let Some(None) = self.packets.front() {
            self.packets.pop_front();
            self.base += 1;
        }
    }

    /// Returns the oldest counter that is kept, or the next one if none is.
    pub(in crate::session) const fn base(&self) -> u64 {
        self.base
    }

    /// Returns the datagrams in order of their counters.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        (self.base..)
            .zip(&self.packets)
            .filter_map(|(counter, packet)| Some((counter, packet.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::congestion::DeliveryRate;

    fn packet(eliciting: bool) -> SentPacket {
        let now = Instant::from_micros(1);
        SentPacket {
            time: now,
            bytes: 30,
            eliciting,
            rate: DeliveryRate::default().on_sent(now, 0),
            frames: Vec::new(),
        }
    }

    #[test]
    fn datagrams_that_are_not_ack_eliciting_do_not_accumulate() {
        let mut sent = SentPackets::default();
        for _ in 0..3 * limits::SENT_NON_ELICITING {
            sent.push(packet(false));
        }
        assert_eq!(sent.packets.len(), limits::SENT_NON_ELICITING);
        assert_eq!(sent.next_counter(), 3 * limits::SENT_NON_ELICITING as u64);
        sent.push(packet(true));
        for _ in 0..limits::SENT {
            sent.push(packet(false));
        }
        assert!(sent.is_overfull(), "an ack-eliciting datagram is kept");
        assert!(sent.has_eliciting());
    }
}
