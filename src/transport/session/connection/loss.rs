//! Loss detection by packet and time threshold, spurious losses, and persistent congestion (RFC 9002 §6.1, §7.6).
//!
//! Invariant: the congestion controller is told of each lost datagram once, and of its late arrival at most once.

use super::recovery::Recovery;
use super::sent::SentPacket;
use crate::session::congestion::Lost;
use crate::time::Instant;
use crate::wire::Ack;

impl Recovery {
    /// Removes and returns the datagrams that the packet and the time threshold declare lost: the oldest ones, because
    /// counters and times ascend together.
    pub(super) fn detect_lost(&mut self, now: Instant) -> Vec<SentPacket> {
        self.loss_time = None;
        let Some(largest) = self.largest_acked else {
            return Vec::new();
        };
        let delay = self.rtt.loss_delay(self.reordering.time_threshold());
        let mut lost = Vec::new();
        while let Some((counter, packet)) = self.sent.oldest()
            && counter < largest
        {
            let due = packet.time + delay;
            if largest - counter < self.reordering.packet_threshold() && due > now {
                self.loss_time = Some(due);
                break;
            }
            let packet = self.sent.take(counter).expect("it is the oldest");
            if packet.marked && self.sent.is_of_path(counter) {
                self.ecn.on_lost();
            }
            lost.push((counter, packet));
        }
        self.report_lost(now, &lost);
        lost.into_iter().map(|(_, packet)| packet).collect()
    }

    /// Reports the ack-eliciting datagrams of the present path to the congestion controller. Probes of a larger size are
    /// left out.
    fn report_lost(&mut self, now: Instant, lost: &[(u64, SentPacket)]) {
        let lost: Vec<_> = lost
            .iter()
            .filter(|(counter, packet)| self.sent.is_of_path(*counter) && !packet.is_size_probe())
            .collect();
        let persistent = self.is_persistent(&lost);
        if persistent {
            self.rtt.forget_min();
        }
        let (mut bytes, mut newest_sent) = (0, now);
        for (counter, packet) in lost.iter().filter(|(_, packet)| packet.eliciting) {
            self.reordering.on_lost(*counter, packet);
            bytes += packet.bytes;
            newest_sent = packet.time;
        }
        if bytes > 0 {
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

    /// Returns true for persistent congestion (RFC 9002 §7.6): ack-eliciting datagrams sent more than three probe
    /// timeouts apart, and after the first round-trip sample, are lost, and none between them was acknowledged.
    fn is_persistent(&self, lost: &[&(u64, SentPacket)]) -> bool {
        let Some(first_sample) = self.first_rtt_sample else {
            return false;
        };
        let limit = self.rtt.pto() * 3;
        let (mut previous, mut start) = (None, None);
        for (counter, packet) in lost {
            // What was sent between two datagrams that are lost together was acknowledged.
            if previous.is_some_and(|previous| !self.are_adjacent(previous, *counter)) {
                start = None;
            }
            previous = Some(*counter);
            if packet.eliciting && packet.time >= first_sample {
                let start = *start.get_or_insert(packet.time);
                if packet.time.since(start) > limit {
                    return true;
                }
            }
        }
        false
    }

    /// Returns true if no datagram was sent between two others: at most one counter is skipped at a time.
    fn are_adjacent(&self, former: u64, latter: u64) -> bool {
        let between = former + 1..=latter - 1;
        between.is_empty() || former + 2 == latter && self.skipped.intersects(&between)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use super::super::recovery::AckOutcome;
    use super::super::sent::SentFrames;
    use super::*;
    use crate::rng::Rng;
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
                self.recovery
                    .on_sent(self.now, 1200, true, SentFrames::new());
            }
            self.recovery.sent.next_counter() - 1
        }

        /// Delivers an ACK with ranges, the highest first.
        fn ack(&mut self, ranges: &[RangeInclusive<u64>]) -> AckOutcome {
            let mut payload = Vec::new();
            let ranges = ranges.iter().cloned();
            assert!(encode_ack(ranges, Duration::ZERO, None, 1000, &mut payload));
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

    #[test]
    fn an_ack_looks_only_at_what_it_settles_however_much_is_in_flight() {
        let mut sender = Sender::new();
        sender.reorder(limits::MAX_PACKET_THRESHOLD);
        let steps = |sender: &Sender| sender.recovery.sent.steps.get();
        let flight = 5000;
        let first = sender.recovery.sent.next_counter();
        sender.send(flight);
        let before = steps(&sender);
        // Every tenth is missing, and is lost by the threshold while the others are acknowledged one by one.
        let mut lost = 0;
        for counter in (first..first + flight).filter(|counter| counter % 10 > 0) {
            lost += sender.ack(&[counter..=counter]).lost.len();
        }
        assert!(lost > 400);
        let steps = steps(&sender) - before;
        assert!(steps < 5 * flight, "{steps} steps");
    }

    /// Sends ten datagrams over `seconds`, of which those with numbers in `arrived` arrive, and then one that does;
    /// returns true if that is persistent congestion.
    fn persists(seconds: u64, arrived: &[u64], eliciting: bool) -> bool {
        let mut sender = Sender::new();
        let sampled = sender.send(1);
        sender.now += ROUND_TRIP;
        sender.ack(&[sampled..=sampled]);
        for number in 0..10 {
            sender.now += Duration::from_secs(seconds) / 10;
            // Bare ACKs in between do not interrupt the loss.
            let eliciting = number == 0 || number == 9 || eliciting;
            sender
                .recovery
                .on_sent(sender.now, 1200, eliciting, SentFrames::new());
        }
        let last = sender.send(4);
        sender.now += ROUND_TRIP * 3 / 2;
        let mut ranges = vec![last - 3..=last];
        ranges.extend(arrived.iter().map(|number| {
            let counter = last - 13 + number;
            counter..=counter
        }));
        sender.ack(&ranges);
        // The minimum is forgotten.
        sender.recovery.rtt.min() > ROUND_TRIP
    }

    #[test]
    fn persistent_congestion_is_a_loss_over_three_probe_timeouts_without_an_arrival_between() {
        assert!(persists(5, &[], true));
        assert!(persists(5, &[], false), "bare ACKs are lost like others");
        assert!(!persists(1, &[], true), "too short");
        assert!(!persists(2, &[5], true), "interrupted");
    }

    #[test]
    fn a_skipped_counter_does_not_hide_persistent_congestion() {
        let mut checked = 0;
        for seed in 0..50 {
            let mut sender = Sender::new();
            let sampled = sender.send(1);
            sender.now += ROUND_TRIP;
            sender.ack(&[sampled..=sampled]);
            let mut rng = Rng::from_seed([seed; 32]);
            let (mut start, mut longest) = (sender.now, Duration::ZERO);
            for _ in 0..3000 {
                sender.now += INTERVAL * 5;
                let next = sender.recovery.sent.next_counter();
                sender.recovery.skip_at_random(&mut rng);
                longest = longest.max(sender.now.since(start));
                if sender.recovery.sent.next_counter() > next {
                    start = sender.now;
                }
                sender
                    .recovery
                    .on_sent(sender.now, 1200, true, SentFrames::new());
            }
            // Less than three probe timeouts without a skipped counter.
            if longest < Duration::from_millis(900) {
                let last = sender.send(1);
                sender.now += ROUND_TRIP * 3 / 2;
                sender.ack(&[last..=last]);
                assert!(sender.recovery.rtt.min() > ROUND_TRIP, "seed {seed}");
                checked += 1;
            }
        }
        assert!(checked > 5, "{checked}");
    }

    #[test]
    fn what_the_former_path_lost_or_delivers_late_does_not_count_on_a_new_one() {
        for (acked, late) in [(0, false), (30, false), (30, true)] {
            let mut moved = Sender::new();
            let sampled = moved.send(1);
            moved.now += ROUND_TRIP * 3;
            moved.ack(&[sampled..=sampled]);
            let last_of_old = moved.send(60);
            moved.recovery.on_new_path(moved.now, 1200, 1);
            let mut fresh = Sender::new();
            fresh.now = moved.now;
            fresh.recovery = Recovery::new(fresh.now, limits::INITIAL_RTT, 1200, 1);
            let mut lost = 0;
            for round in 0..8 {
                for sender in [&mut moved, &mut fresh] {
                    let first = sender.recovery.sent.next_counter();
                    let last = sender.send(10 << round);
                    sender.now += ROUND_TRIP;
                    let mut ranges = vec![first..=last];
                    if first > last_of_old && acked > 0 {
                        ranges.push(last_of_old - acked..=last_of_old - acked / 2);
                    }
                    lost += sender.ack(&ranges).lost.len();
                    // Late arrivals of the former path, after they were declared lost.
                    if first > last_of_old && late {
                        sender.ack(&[0..=last]);
                    }
                }
                let state = |sender: &Sender| {
                    let recovery = &sender.recovery;
                    (
                        (recovery.congestion.window(), recovery.sent.in_flight()),
                        recovery.congestion.pacing_rate(),
                        (recovery.rtt.smoothed(), recovery.rtt.min()),
                        recovery.reordering.packet_threshold(),
                    )
                };
                assert_eq!(state(&moved), state(&fresh), "round {round}");
            }
            assert!(lost >= 60 - 16, "the frames are sent again: {lost}");
        }
    }
}
