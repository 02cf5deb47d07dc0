//! Sent datagrams that are neither acknowledged nor lost, by counter, and the frames in them.
//!
//! Invariants: `in_flight` is the sum of the sizes of the ack-eliciting datagrams that were sent since the path was
//! new. Only what is taken is looked at, however much is in flight. A datagram that is not ack-eliciting may never be
//! acknowledged: beyond [`limits::SENT_NON_ELICITING`] datagrams it is discarded, unless an older ack-eliciting one is
//! kept.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

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
    next: u64,
    /// By counter.
    packets: BTreeMap<u64, SentPacket>,
    /// First counter of the present path.
    path_start: u64,
    in_flight: u64,
    eliciting: usize,
    /// Number of datagrams looked at.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

impl SentPackets {
    /// Returns the counter of the next datagram.
    pub(in crate::session) const fn next_counter(&self) -> u64 {
        self.next
    }

    pub(in crate::session) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Returns true if an ack-eliciting datagram is kept, on whatever path it was sent.
    pub(in crate::session) const fn has_eliciting(&self) -> bool {
        self.eliciting > 0
    }

    /// Adds the datagram with the next counter.
    pub(in crate::session) fn push(&mut self, packet: SentPacket) {
        if packet.eliciting {
            self.in_flight += packet.bytes;
            self.eliciting += 1;
        }
        self.packets.insert(self.next, packet);
        self.next += 1;
        while self.packets.len() > limits::SENT_NON_ELICITING
            && let Some(oldest) = self.packets.first_entry()
            && !oldest.get().eliciting
        {
            oldest.remove();
        }
    }

    /// Returns true if the peer acknowledges so little that no datagram may be added that is not
    /// ack-eliciting.
    pub(in crate::session) fn is_overfull(&self) -> bool {
        self.packets.len() > limits::SENT
    }

    /// Skips a counter.
    pub(in crate::session) const fn skip(&mut self) {
        self.next += 1;
    }

    /// Removes a datagram.
    pub(in crate::session) fn take(&mut self, counter: u64) -> Option<SentPacket> {
        self.count_step();
        let packet = self.packets.remove(&counter)?;
        if packet.eliciting {
            self.eliciting -= 1;
            if self.is_of_path(counter) {
                self.in_flight -= packet.bytes;
            }
        }
        Some(packet)
    }

    /// Removes the oldest datagram with a counter in `range`.
    pub(in crate::session) fn take_from(
        &mut self,
        range: RangeInclusive<u64>,
    ) -> Option<(u64, SentPacket)> {
        let (&counter, _) = self.packets.range(range).next()?;
        Some((counter, self.take(counter)?))
    }

    /// Returns the oldest datagram.
    pub(in crate::session) fn oldest(&self) -> Option<(u64, &SentPacket)> {
        self.count_step();
        let (&counter, packet) = self.packets.first_key_value()?;
        Some((counter, packet))
    }

    /// Returns the datagrams in order of their counters.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        self.packets.iter().map(|(&counter, packet)| {
            self.count_step();
            (counter, packet)
        })
    }

    /// Begins the flight of a new path: datagrams sent before are no longer in flight.
    pub(in crate::session) const fn on_new_path(&mut self) {
        self.path_start = self.next;
        self.in_flight = 0;
    }

    /// Returns true if the datagram with this counter was sent since the path was new.
    pub(in crate::session) const fn is_of_path(&self, counter: u64) -> bool {
        counter >= self.path_start
    }

    #[cfg_attr(
        not(test),
        allow(
            clippy::unused_self,
            clippy::missing_const_for_fn,
            reason = "counts in tests"
        )
    )]
    fn count_step(&self) {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
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
