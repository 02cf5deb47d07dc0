//! Sent datagrams that are neither acknowledged nor lost, by counter, and the frames in them.
//!
//! Invariants: `in_flight` is the sum of the sizes of the ack-eliciting datagrams that were sent since the path was
//! new. Only what is taken is looked at, however much is in flight: a counter whose datagram is gone refers to a later
//! one, and these references are shortened whenever they are followed (a disjoint-set forest with path compression).
//! A datagram that is not ack-eliciting may never be acknowledged: beyond [`limits::SENT_NON_ELICITING`] datagrams it is discarded, unless an older ack-eliciting one is
//! kept.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use smallvec::SmallVec;

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
    /// PING and padding that probe for a larger datagram (`datagram_size`).
    SizeProbe,
}

/// Frames of a datagram: a chunk, or an ACK and credit. More are rare, and allocate.
pub(in crate::session) type SentFrames = SmallVec<[SentFrame; 2]>;

#[derive(Debug)]
pub(in crate::session) struct SentPacket {
    pub(in crate::session) time: Instant,
    pub(in crate::session) bytes: u64,
    pub(in crate::session) eliciting: bool,
    /// True if it was marked ECT(0).
    pub(in crate::session) marked: bool,
    pub(in crate::session) rate: PacketState,
    pub(in crate::session) frames: SentFrames,
}

impl SentPacket {
    /// Returns true for a probe of a larger size, whose loss is no sign of congestion (RFC 9000 §14.4).
    pub(in crate::session) fn is_size_probe(&self) -> bool {
        matches!(self.frames[..], [SentFrame::SizeProbe])
    }
}

/// State of a counter that was used.
#[derive(Debug)]
enum Slot {
    Kept(SentPacket),
    /// Nothing is kept for this counter, nor for those after it and before `next`.
    Gone {
        next: u64,
    },
}

#[derive(Default, Debug)]
pub(in crate::session) struct SentPackets {
    /// Slots of the counters from `base` on. The first one is kept.
    slots: VecDeque<Slot>,
    base: u64,
    /// Number of datagrams kept.
    kept: usize,
    /// First counter of the present path.
    path_start: u64,
    in_flight: u64,
    eliciting: usize,
    /// Number of slots looked at.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

impl SentPackets {
    /// Returns the counter of the next datagram.
    pub(in crate::session) fn next_counter(&self) -> u64 {
        self.base + self.slots.len() as u64
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
        self.slots.push_back(Slot::Kept(packet));
        self.kept += 1;
        while self.kept > limits::SENT_NON_ELICITING
            && let Some((oldest, packet)) = self.oldest()
            && !packet.eliciting
        {
            self.take(oldest);
        }
    }

    /// Returns true if the peer acknowledges so little that no datagram may be added that is not
    /// ack-eliciting.
    pub(in crate::session) fn is_overfull(&self) -> bool {
        self.kept > limits::SENT
    }

    /// Skips a counter.
    pub(in crate::session) fn skip(&mut self) {
        let next = self.next_counter() + 1;
        self.slots.push_back(Slot::Gone { next });
        self.release();
    }

    /// Removes a datagram.
    pub(in crate::session) fn take(&mut self, counter: u64) -> Option<SentPacket> {
        self.count_step();
        let next = counter.checked_add(1)?;
        let index = self.index(counter)?;
        let slot = self.slots.get_mut(index)?;
        let packet = match std::mem::replace(slot, Slot::Gone { next }) {
            Slot::Kept(packet) => packet,
            gone @ Slot::Gone { .. } => {
                *slot = gone;
                return None;
            }
        };
        self.kept -= 1;
        if packet.eliciting {
            self.eliciting -= 1;
            if self.is_of_path(counter) {
                self.in_flight -= packet.bytes;
            }
        }
        self.release();
        Some(packet)
    }

    /// Removes the oldest datagram with a counter in `range`.
    pub(in crate::session) fn take_from(
        &mut self,
        range: RangeInclusive<u64>,
    ) -> Option<(u64, SentPacket)> {
        let counter = self.first_from(*range.start())?;
        if counter > *range.end() {
            return None;
        }
        Some((counter, self.take(counter)?))
    }

    /// Returns the oldest datagram.
    pub(in crate::session) fn oldest(&self) -> Option<(u64, &SentPacket)> {
        self.count_step();
        match self.slots.front()? {
            Slot::Kept(packet) => Some((self.base, packet)),
            Slot::Gone { .. } => None,
        }
    }

    /// Returns the datagrams in order of their counters.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        (self.base..)
            .zip(&self.slots)
            .filter_map(|(counter, slot)| {
                self.count_step();
                match slot {
                    Slot::Kept(packet) => Some((counter, packet)),
                    Slot::Gone { .. } => None,
                }
            })
    }

    /// Position of the slot of a counter, which is beyond the end for one that was not used.
    fn index(&self, counter: u64) -> Option<usize> {
        usize::try_from(counter.checked_sub(self.base)?).ok()
    }

    /// Returns the first counter from `start` on for which a datagram is kept.
    fn first_from(&mut self, start: u64) -> Option<u64> {
        let start = start.max(self.base);
        let mut found = start;
        while let Some(Slot::Gone { next }) = self.slots.get(self.index(found)?) {
            found = *next;
            self.count_step();
        }
        let mut at = start;
        while at < found
            && let Some(index) = self.index(at)
            && let Some(Slot::Gone { next }) = self.slots.get_mut(index)
        {
            at = std::mem::replace(next, found);
        }
        (found < self.next_counter()).then_some(found)
    }

    /// Releases the slots before the oldest datagram that is kept.
    fn release(&mut self) {
        while let Some(Slot::Gone { .. }) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        if self.slots.is_empty() {
            // An idle session holds no memory for what it might send.
            self.slots = VecDeque::new();
        }
    }

    /// Begins the flight of a new path: datagrams sent before are no longer in flight.
    pub(in crate::session) fn on_new_path(&mut self) {
        self.path_start = self.next_counter();
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::session::congestion::DeliveryRate;

    fn packet(eliciting: bool) -> SentPacket {
        let now = Instant::from_micros(1);
        SentPacket {
            time: now,
            bytes: 30,
            eliciting,
            marked: false,
            rate: DeliveryRate::default().on_sent(now, 0),
            frames: SentFrames::new(),
        }
    }

    #[test]
    fn datagrams_that_are_not_ack_eliciting_do_not_accumulate() {
        let mut sent = SentPackets::default();
        for _ in 0..3 * limits::SENT_NON_ELICITING {
            sent.push(packet(false));
        }
        assert_eq!(sent.kept, limits::SENT_NON_ELICITING);
        assert_eq!(sent.slots.len(), limits::SENT_NON_ELICITING);
        assert_eq!(sent.next_counter(), 3 * limits::SENT_NON_ELICITING as u64);
        sent.push(packet(true));
        for _ in 0..limits::SENT {
            sent.push(packet(false));
        }
        assert!(sent.is_overfull(), "an ack-eliciting datagram is kept");
        assert!(sent.has_eliciting());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_sent_and_not_taken(
            steps in prop::collection::vec((0..4_u8, 0..40_u64, 0..20_u64), 1..400),
        ) {
            let (mut sent, mut model) = (SentPackets::default(), BTreeSet::new());
            for (step, from, length) in steps {
                let next = sent.next_counter();
                match step {
                    0 => sent.skip(),
                    1 => {
                        for _ in 0..length {
                            model.insert(sent.next_counter());
                            sent.push(packet(true));
                        }
                    }
                    2 => {
                        let counter = next.saturating_sub(from);
                        prop_assert_eq!(sent.take(counter).is_some(), model.remove(&counter));
                    }
                    _ => {
                        let start = next.saturating_sub(from);
                        let range = start..=start + length;
                        let expected = model.range(range.clone()).next().copied();
                        let taken = sent.take_from(range).map(|(counter, _)| counter);
                        prop_assert_eq!(taken, expected);
                        model.retain(|counter| Some(*counter) != taken);
                    }
                }
                prop_assert!(sent.iter().map(|(counter, _)| counter).eq(model.iter().copied()));
                prop_assert_eq!(sent.oldest().map(|(counter, _)| counter), model.first().copied());
                prop_assert_eq!(sent.in_flight(), 30 * model.len() as u64);
                prop_assert!(sent.next_counter() >= next);
            }
        }
    }
}
