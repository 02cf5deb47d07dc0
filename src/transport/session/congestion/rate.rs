//! Delivery-rate samples (draft-ietf-ccwg-bbr §4.1).
//!
//! Each packet records the delivery counters of its session when it is sent. Its acknowledgement
//! then gives the bytes delivered in between and the time that took. Not an estimator: the
//! controller decides what to make of the samples. Invariant: a sample never exceeds the rate of
//! sending nor the rate at which acknowledgements arrived, because the longer of the two intervals
//! counts.

use std::time::Duration;

use crate::time::{Instant, micros};

/// Delivery counters of the session at the time a packet was sent.
#[derive(Clone, Copy, Debug)]
pub struct PacketState {
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    in_flight: u64,
    app_limited: bool,
}

/// A measured delivery rate.
#[derive(Clone, Copy, Debug)]
pub struct RateSample {
    /// Bytes per second; 0 if the interval was too short for a measurement.
    pub rate: u64,
    /// True if the sender had nothing more to send during the sample; the path may be faster.
    pub app_limited: bool,
    /// Bytes delivered in the session when the packet was sent. Delimits round trips.
    pub prior_delivered: u64,
    /// Bytes delivered in the session by now.
    pub delivered: u64,
    /// Interval of the measurement.
    pub interval: Duration,
    /// Bytes in flight when the packet was sent, including the packet.
    pub tx_in_flight: u64,
}

/// Delivery counters of a session.
#[derive(Debug, Default)]
pub struct DeliveryRate {
    delivered: u64,
    delivered_at: Instant,
    /// Send time of the packet acknowledged last: the send interval of a flight starts there.
    first_sent: Instant,
    /// Count of delivered bytes up to which samples are application-limited.
    limited_until: Option<u64>,
    newest: Option<Newest>,
}

/// The newest packet of the ACK being processed.
#[derive(Clone, Copy, Debug)]
struct Newest {
    packet: PacketState,
    sent: Instant,
    bytes: u64,
}

impl DeliveryRate {
    /// Returns the counters for a packet that is about to be sent. `in_flight` does not include it.
    pub fn on_sent(&mut self, now: Instant, in_flight: u64) -> PacketState {
        if in_flight == 0 {
            // Idle time is no property of the path.
            self.first_sent = now;
            self.delivered_at = now;
        }
        PacketState {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            in_flight,
            app_limited: self.limited_until.is_some(),
        }
    }

    /// Counts an acknowledged packet. Called for each packet of an ACK, oldest first.
    pub fn on_acked(&mut self, now: Instant, packet: &PacketState, sent: Instant, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = now;
        if self.newest.is_none_or(|newest| sent >= newest.sent) {
            self.newest = Some(Newest {
                packet: *packet,
                sent,
                bytes,
            });
        }
    }

    /// Returns the sample of the ACK just processed and resets it.
    pub fn take_sample(&mut self, min_rtt: Duration) -> Option<RateSample> {
        if self.limited_until.is_some_and(|end| self.delivered > end) {
            self.limited_until = None;
        }
        let Newest {
            packet,
            sent,
            bytes,
        } = self.newest.take()?;
        let send_elapsed = sent.since(packet.first_sent);
        let ack_elapsed = self.delivered_at.since(packet.delivered_at);
        self.first_sent = sent;
        let interval = send_elapsed.max(ack_elapsed);
        let delivered = self.delivered.saturating_sub(packet.delivered);
        // Within less than a round trip the acknowledgements were aggregated: no rate can be told
        // (§4.1.2.3).
        let rate = if interval < min_rtt {
            0
        } else {
            delivered.saturating_mul(1_000_000) / micros(interval).max(1)
        };
        Some(RateSample {
            rate,
            app_limited: packet.app_limited,
            prior_delivered: packet.delivered,
            delivered: self.delivered,
            interval,
            tx_in_flight: packet.in_flight.saturating_add(bytes),
        })
    }

    /// Notes that there was nothing to send although the window was open. Samples are marked as
    /// application-limited until `in_flight` bytes are delivered.
    pub fn on_app_limited(&mut self, in_flight: u64) {
        self.limited_until = Some(self.delivered.saturating_add(in_flight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    #[test]
    fn a_paced_flight_measures_its_own_rate() {
        let mut rate = DeliveryRate::default();
        let packets: Vec<_> = (0..100)
            .map(|i| (at(i), rate.on_sent(at(i), i * 1000)))
            .collect();
        let mut last = None;
        for (sent, packet) in packets {
            let now = sent + RTT;
            rate.on_acked(now, &packet, sent, 1000);
            last = rate.take_sample(RTT);
        }
        let last = last.unwrap();
        // 1000 bytes a millisecond, except in the first round trip, when nothing was acknowledged.
        assert_eq!(last.delivered, 100_000);
        assert!((650_000..=1_000_000).contains(&last.rate), "{last:?}");
    }

    #[test]
    fn bunched_acknowledgements_do_not_raise_the_rate() {
        let mut rate = DeliveryRate::default();
        let packets: Vec<_> = (0..10)
            .map(|i| (at(i * 10), rate.on_sent(at(i * 10), i * 1000)))
            .collect();
        for (sent, packet) in packets {
            rate.on_acked(at(150), &packet, sent, 1000);
        }
        let sample = rate.take_sample(RTT).unwrap();
        assert_eq!(sample.interval, Duration::from_millis(150));
        assert_eq!(sample.rate, 10_000 * 1000 / 150);
        assert!(rate.take_sample(RTT).is_none());
    }

    #[test]
    fn an_interval_shorter_than_the_round_trip_gives_no_rate() {
        let mut rate = DeliveryRate::default();
        let packet = rate.on_sent(at(0), 0);
        rate.on_acked(at(10), &packet, at(0), 1000);
        assert_eq!(rate.take_sample(RTT).unwrap().rate, 0);
    }

    #[test]
    fn idle_time_does_not_count_into_a_rate_sample() {
        let mut rate = DeliveryRate::default();
        let packet = rate.on_sent(at(0), 0);
        rate.on_acked(at(50), &packet, at(0), 1000);
        rate.take_sample(RTT);
        let packet = rate.on_sent(at(9000), 0);
        rate.on_acked(at(9050), &packet, at(9000), 1000);
        let sample = rate.take_sample(RTT).unwrap();
        assert_eq!(sample.interval, RTT);
        assert_eq!(sample.rate, 20_000);
    }

    #[test]
    fn app_limited_ends_when_the_flight_is_delivered() {
        let mut rate = DeliveryRate::default();
        let first = rate.on_sent(at(0), 0);
        rate.on_app_limited(1000);
        let second = rate.on_sent(at(1), 1000);
        rate.on_acked(at(50), &first, at(0), 1000);
        assert!(!rate.take_sample(RTT).unwrap().app_limited);
        rate.on_acked(at(51), &second, at(1), 1000);
        assert!(rate.take_sample(RTT).unwrap().app_limited);
        let third = rate.on_sent(at(52), 0);
        rate.on_acked(at(102), &third, at(52), 1000);
        assert!(!rate.take_sample(RTT).unwrap().app_limited);
    }
}
