//! Loss detection by packet and time threshold, spurious losses, and persistent congestion (RFC 9002 §6.1, §7.6).
//!
//! Invariant: the congestion controller is told of each lost datagram once, and of its late arrival at most once.

use super::recovery::Recovery;
use super::sent::SentPacket;
use crate::session::congestion::Lost;
use crate::time::Instant;
use crate::wire::Ack;

impl Recovery {
    /// Removes and returns the datagrams that the packet and the time threshold declare lost.
    pub(super) fn detect_lost(&mut self, now: Instant) -> Vec<SentPacket> {
        self.loss_time = None;
        let Some(largest) = self.largest_acked else {
            return Vec::new();
        };
        let delay = self.rtt.loss_delay(self.reordering.time_threshold());
        let mut lost = Vec::new();
        for (counter, packet) in self.sent.iter() {
            if counter >= largest {
                break;
            }
            let due = packet.time + delay;
            if largest - counter >= self.reordering.packet_threshold() || due <= now {
                lost.push(counter);
            } else {
                self.loss_time = Some(self.loss_time.map_or(due, |time| time.min(due)));
            }
        }
        let persistent = self.is_persistent(&lost);
        if persistent {
            self.rtt.forget_min();
        }
        let mut packets = Vec::new();
        for counter in lost {
            if let Some(packet) = self.sent.take(counter) {
                self.reordering.on_lost(counter, &packet);
                packets.push(packet);
            }
        }
        self.sent.trim();
        let bytes = packets
            .iter()
            .filter(|packet| packet.eliciting)
            .map(|packet| packet.bytes)
            .sum();
        if bytes > 0 {
            let newest_sent = packets
                .iter()
                .map(|packet| packet.time)
                .max()
                .unwrap_or(now);
            let in_flight = self.sent.in_flight();
            self.congestion.on_lost(
                now,
                &Lost {
                    bytes,
                    in_flight,
                    newest_sent,
                    persistent,
                },
            );
        }
        packets
    }

    /// Handles the datagrams that an ACK acknowledges after they were declared lost: raises the thresholds, and
    /// counts the datagrams as delivered. Returns their bytes.
    pub(super) fn take_spurious(&mut self, now: Instant, ack: &Ack<'_>) -> u64 {
        let (Some(oldest), Some(largest)) = (self.reordering.oldest(), self.largest_acked) else {
            return 0;
        };
        let rtt = self.rtt.longest_recent();
        let mut bytes = 0;
        for range in ack.ranges().take_while(|range| *range.end() >= oldest) {
            let late: Vec<_> = self.reordering.take(range).collect();
            for packet in late {
                bytes += packet.bytes;
                self.delivery
                    .on_acked(now, &packet.rate, packet.time, packet.bytes);
                let distance = largest.saturating_sub(packet.counter);
                self.reordering
                    .on_late(distance, now.since(packet.time), rtt);
            }
        }
        bytes
    }

    /// Returns true for persistent congestion (RFC 9002 §7.6): consecutive lost counters over more than
    /// three probe timeouts, all sent after the first round-trip sample.
    fn is_persistent(&self, lost: &[u64]) -> bool {
        let Some(first_sample) = self.first_rtt_sample else {
            return false;
        };
        let limit = self.rtt.pto() * 3;
        let mut run: Option<(u64, Instant)> = None;
        let packets = self.sent.iter().filter(|(counter, packet)| {
            packet.eliciting && packet.time >= first_sample && lost.binary_search(counter).is_ok()
        });
        for (counter, packet) in packets {
            match run {
                Some((previous, start)) if previous + 1 == counter => {
                    if packet.time.since(start) > limit {
                        return true;
                    }
                    run = Some((counter, start));
                }
                _ => run = Some((counter, packet.time)),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use super::super::recovery::AckOutcome;
    use super::*;
    use crate::session::limits;
    use crate::wire::{Frame, Frames, encode_ack};

    const INTERVAL: Duration = Duration::from_micros(100);
    const ROUND_TRIP: Duration = Duration::from_millis(100);

    /// A sender of ten datagrams of 1200 bytes a millisecond.
    struct Sender {
        now: Instant,
        recovery: Recovery,
    }

    impl Sender {
        fn new() -> Self {
            let now = Instant::from_micros(1_000_000);
            Self {
                now,
                recovery: Recovery::new(now, ROUND_TRIP, 1200, 1),
            }
        }

        /// Sends datagrams; returns the counter of the last.
        fn send(&mut self, count: u64) -> u64 {
            for _ in 0..count {
                self.now += INTERVAL;
                self.recovery.on_sent(self.now, 1200, true, Vec::new());
            }
            self.recovery.sent.next_counter() - 1
        }

        /// Delivers an ACK with ranges, the highest first.
        fn ack(&mut self, ranges: &[RangeInclusive<u64>]) -> AckOutcome {
            let mut payload = Vec::new();
            let ranges = ranges.iter().cloned();
            assert!(encode_ack(ranges, Duration::ZERO, 1000, &mut payload));
            let Some(Ok(Frame::Ack(ack))) = Frames::new(&payload).next() else {
                panic!("an ACK");
            };
            self.recovery.on_ack(self.now, &ack).unwrap()
        }

        /// Sends datagrams of which the first arrives after all others; returns the number declared lost before.
        fn reorder(&mut self, count: u64) -> usize {
            let first = self.recovery.sent.next_counter();
            let last = self.send(count);
            self.now += ROUND_TRIP;
            let lost = self.ack(&[first + 1..=last]).lost.len();
            self.ack(&[first..=last]);
            lost
        }
    }

    #[test]
    fn a_late_ack_raises_the_packet_threshold_above_the_reordering() {
        let mut sender = Sender::new();
        assert_eq!(sender.reorder(3), 0);
        assert_eq!(sender.reorder(21), 1, "twenty datagrams overtake one");
        assert_eq!(sender.recovery.reordering.packet_threshold(), 21);
        assert_eq!(sender.reorder(21), 0);
        assert_eq!(sender.reorder(22), 1);
        assert_eq!(sender.reorder(22), 0);
    }

    #[test]
    fn a_datagram_that_never_arrives_raises_no_threshold() {
        let mut sender = Sender::new();
        let last = sender.send(40);
        assert_eq!(sender.ack(&[20..=last, 0..=10]).lost.len(), 9);
        let last = sender.send(40);
        assert!(sender.ack(&[20..=last, 0..=10]).lost.is_empty());
        assert_eq!(
            sender.recovery.reordering.packet_threshold(),
            limits::PACKET_THRESHOLD
        );
        assert_eq!(
            sender.recovery.reordering.time_threshold(),
            limits::TIME_THRESHOLD
        );
    }

    #[test]
    fn the_packet_threshold_is_bounded() {
        let mut sender = Sender::new();
        sender.reorder(2);
        assert_eq!(sender.reorder(limits::MAX_PACKET_THRESHOLD + 100), 1);
        let reordering = &sender.recovery.reordering;
        assert_eq!(reordering.packet_threshold(), limits::MAX_PACKET_THRESHOLD);
        assert_eq!(sender.reorder(limits::MAX_PACKET_THRESHOLD + 1), 1);
    }

    #[test]
    fn a_datagram_that_is_late_by_time_raises_the_time_threshold() {
        let mut sender = Sender::new();
        // A steady round trip of 100 ms.
        for _ in 0..20 {
            let sent = sender.send(1);
            sender.now += ROUND_TRIP;
            sender.ack(&[sent..=sent]);
        }
        let mut late = |by: u32| {
            let first = sender.send(2) - 1;
            sender.now += ROUND_TRIP;
            sender.ack(&[first + 1..=first + 1]);
            sender.now += ROUND_TRIP * by / 16;
            let due = sender.recovery.timeout().is_some_and(|at| at <= sender.now);
            let lost = due
                && matches!(
                    sender.recovery.expired(sender.now),
                    super::super::recovery::Expired::Lost(_)
                );
            sender.ack(&[first..=first + 1]);
            lost
        };
        assert!(late(4), "5/4 of a round trip is later than 9/8");
        assert!(!late(4), "and is waited for from then on");
        assert!(late(8));
        assert!(!late(8));
        // Not longer than two round trips.
        assert!(late(18));
        assert!(late(18));
        assert_eq!(
            sender.recovery.reordering.time_threshold(),
            limits::MAX_TIME_THRESHOLD
        );
    }

    #[test]
    fn the_memory_of_lost_datagrams_is_bounded() {
        let mut sender = Sender::new();
        let lost = 2 * limits::LOST_REMEMBERED as u64;
        let last = sender.send(lost + 1);
        sender.ack(&[last..=last]);
        // All but the bounded number are forgotten: an ACK for them changes nothing.
        let oldest = sender.recovery.reordering.oldest();
        assert!(oldest.is_some_and(|oldest| oldest + limits::LOST_REMEMBERED as u64 >= lost - 4));
        sender.ack(&[last..=last, 0..=99]);
        assert_eq!(
            sender.recovery.reordering.packet_threshold(),
            limits::PACKET_THRESHOLD
        );
    }
}
