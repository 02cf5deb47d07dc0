//! Acknowledgements and the probe timer (RFC 9002), and the interface to congestion control.
//!
//! Returns the datagrams that were acknowledged or lost; the session passes their frames on to the
//! streams. Loss detection is in `loss`. Invariants: an ACK for a counter that was never sent is a violation; a probe
//! timeout declares nothing lost, it only sends frames again.

use std::time::Duration;

use smallvec::SmallVec;

use super::ecn::EcnValidation;
use super::reordering::Reordering;
use super::sent::{SentFrame, SentFrames, SentPacket, SentPackets};
use super::skipped::SkippedCounters;
use crate::rng::Rng;
use crate::session::congestion::{self, Acked, Controller, DeliveryRate, KnownPath, Pacer};
use crate::session::rtt::RttEstimator;
use crate::session::{Fault, limits};
use crate::time::Instant;
use crate::wire::Ack;
use crate::wire::limits::MIN_DATAGRAM;

pub(in crate::session) struct Recovery {
    pub(in crate::session) sent: SentPackets,
    pub(in crate::session) rtt: RttEstimator,
    pub(super) congestion: Box<dyn Controller>,
    pacer: Pacer,
    pub(super) delivery: DeliveryRate,
    pub(super) largest_acked: Option<u64>,
    pub(super) reordering: Reordering,
    pub(in crate::session) skipped: SkippedCounters,
    pub(super) ecn: EcnValidation,
    /// Time at which the next datagram will be declared lost.
    pub(super) loss_time: Option<Instant>,
    /// Time at which the last ack-eliciting datagram was sent, or the probe timer expired.
    last_eliciting: Instant,
    /// Number of probe timeouts without an acknowledgement.
    backoff: u32,
    /// Number of probes to send, regardless of the window.
    probes: u8,
    pub(super) first_rtt_sample: Option<Instant>,
    /// Memory of the last outcome, for the next one.
    spare: AckOutcome,
}

/// Datagrams that an ACK or the loss timer has settled.
#[derive(Default, Debug)]
pub(in crate::session) struct AckOutcome {
    pub(in crate::session) acked: Vec<SentPacket>,
    pub(in crate::session) lost: Vec<SentPacket>,
}

/// Sum over the datagrams of the present path that an ACK newly acknowledges.
struct NewlyAcked {
    /// Bytes of the ack-eliciting ones.
    bytes: u64,
    /// Round-trip sample (RFC 9002 §5.1).
    rtt: Option<Duration>,
    /// Number of those that were marked ECT(0).
    marked: u64,
}

/// Result of an expired loss-detection timer.
#[derive(Debug)]
pub(in crate::session) enum Expired {
    /// Datagrams were declared lost.
    Lost(AckOutcome),
    /// Probes are to be sent, preferably with these frames.
    Probe(Vec<SentFrame>),
}

impl Recovery {
    pub(in crate::session) fn new(
        now: Instant,
        initial_rtt: Duration,
        datagram: u64,
        seed: u64,
    ) -> Self {
        Self {
            sent: SentPackets::default(),
            rtt: RttEstimator::new(initial_rtt),
            congestion: congestion::new(now, datagram, seed),
            pacer: Pacer::new(now),
            delivery: DeliveryRate::default(),
            largest_acked: None,
            reordering: Reordering::new(),
            skipped: SkippedCounters::default(),
            ecn: EcnValidation::new(),
            loss_time: None,
            last_eliciting: now,
            backoff: 0,
            probes: 0,
            first_rtt_sample: None,
            spare: AckOutcome::default(),
        }
    }

    /// Resets round-trip estimate and congestion control for a new path (RFC 9000 §9.4). What was sent before may
    /// still be acknowledged or lost, without effect on them.
    pub(in crate::session) fn on_new_path(&mut self, now: Instant, datagram: u64, seed: u64) {
        self.sent.on_new_path();
        self.rtt = RttEstimator::new(limits::INITIAL_RTT);
        self.first_rtt_sample = None;
        self.congestion = congestion::new(now, datagram, seed);
        self.pacer = Pacer::new(now);
        self.delivery = DeliveryRate::default();
        self.reordering = Reordering::new();
        self.ecn.on_new_path();
        self.backoff = 0;
    }

    /// Begins with what is known of the path.
    pub(in crate::session) fn resume(&mut self, known: KnownPath) {
        self.congestion.resume(known);
    }

    /// Begins with the round-trip time of a path and its variation.
    pub(in crate::session) fn resume_round_trip(&mut self, known: &KnownPath) {
        self.rtt = RttEstimator::remembered(known.rtt, known.variation);
    }

    /// Returns what was learned of the path, if anything.
    pub(in crate::session) fn known_path(&self) -> Option<KnownPath> {
        let variation = self.rtt.var();
        let known = self.congestion.known_path()?;
        Some(KnownPath { variation, ..known })
    }

    /// Handles the round-trip time of the handshake.
    pub(in crate::session) fn on_handshake_rtt(&mut self, rtt: Duration) {
        self.rtt.on_sample(rtt, Duration::ZERO);
        self.congestion.resume(KnownPath {
            window: None,
            rtt,
            variation: self.rtt.var(),
        });
    }

    /// Adopts the size of datagrams from now on.
    pub(in crate::session) fn on_datagram_size(&mut self, bytes: u64) {
        self.congestion.on_datagram_size(bytes);
        self.pacer.on_datagram_size(bytes);
    }

    /// Returns the pacing rate in bytes per second.
    pub(in crate::session) fn pacing_rate(&self) -> u64 {
        self.congestion.pacing_rate()
    }

    /// Resets the backoff, so that the next probe is sent soon.
    pub(in crate::session) fn forget_backoff(&mut self) {
        self.backoff = 0;
    }

    /// Skips the next counter now and then, against optimistic ACKs.
    pub(in crate::session) fn skip_at_random(&mut self, rng: &mut Rng) {
        let window = self.congestion.window() / MIN_DATAGRAM as u64;
        if self.skipped.skips(self.sent.next_counter(), window, rng) {
            self.sent.skip();
        }
    }

    pub(in crate::session) fn on_sent(
        &mut self,
        now: Instant,
        bytes: u64,
        eliciting: bool,
        frames: SentFrames,
    ) {
        let rate = self.delivery.on_sent(now, self.sent.in_flight());
        if eliciting {
            self.last_eliciting = now;
            self.probes = self.probes.saturating_sub(1);
        }
        let size_probe = matches!(frames[..], [SentFrame::SizeProbe]);
        if eliciting && !size_probe {
            self.pacer.on_sent(bytes);
        }
        self.sent.push(SentPacket {
            time: now,
            bytes,
            eliciting,
            marked: self.ecn.on_sent(),
            rate,
            frames,
        });
        if eliciting && !size_probe {
            self.congestion.on_sent(now, bytes, self.sent.in_flight());
        }
    }

    /// Returns the number of bytes that may be sent now. A probe is always allowed.
    pub(in crate::session) fn allowance(&mut self, now: Instant, datagram: u64) -> Allowance {
        if self.probes > 0 {
            return Allowance::Bytes(datagram * u64::from(self.probes));
        }
        let window = self
            .congestion
            .window()
            .saturating_sub(self.sent.in_flight());
        if window < datagram {
            return Allowance::Window;
        }
        let rate = self.congestion.pacing_rate();
        let paced = self.pacer.allowance(now, rate);
        if paced < datagram {
            return Allowance::Paced(self.pacer.ready_at(now, datagram, rate));
        }
        Allowance::Bytes(window.min(paced))
    }

    /// Records that there is nothing to send: while the window is open, rate samples are limited by the
    /// application.
    pub(in crate::session) fn on_app_limited(&mut self) {
        let in_flight = self.sent.in_flight();
        if in_flight < self.congestion.window() {
            self.delivery.on_app_limited(in_flight);
        }
    }

    pub(in crate::session) fn on_ack(
        &mut self,
        now: Instant,
        ack: &Ack<'_>,
    ) -> Result<AckOutcome, Fault> {
        if ack.largest >= self.sent.next_counter() {
            return Err(Fault::NeverSent);
        }
        if ack.ranges().any(|range| self.skipped.intersects(&range)) {
            return Err(Fault::Skipped);
        }
        let spurious = self.take_spurious(now, ack);
        let mut outcome = std::mem::take(&mut self.spare);
        let newly = self.take_acked(now, ack, &mut outcome.acked);
        if outcome.acked.is_empty() && spurious == 0 {
            return Ok(outcome);
        }
        // Counts that arrive late say nothing (RFC 9000 §13.4.2.1).
        let ce = Some(ack.largest) > self.largest_acked && self.ecn.on_ack(ack.ecn, newly.marked);
        self.largest_acked = self.largest_acked.max(Some(ack.largest));
        if let Some(latest) = newly.rtt {
            self.rtt.on_sample(latest, ack.delay);
            self.first_rtt_sample.get_or_insert(now);
        }
        self.backoff = 0;
        self.probes = 0;
        if spurious > 0 {
            self.congestion.on_spurious(now, spurious);
        }
        outcome.lost = self.detect_lost(now);
        let rate = self.delivery.take_sample(self.rtt.min());
        let acked = Acked {
            bytes: newly.bytes + spurious,
            in_flight: self.sent.in_flight(),
            rtt: newly.rtt,
            min_rtt: self.rtt.min(),
            app_limited: rate.is_some_and(|rate| rate.app_limited),
            rate,
            ce,
        };
        self.congestion.on_acked(now, &acked);
        Ok(outcome)
    }

    /// Moves the datagrams that an ACK newly acknowledges to `acked`, oldest first.
    fn take_acked(
        &mut self,
        now: Instant,
        ack: &Ack<'_>,
        acked: &mut Vec<SentPacket>,
    ) -> NewlyAcked {
        let oldest = self.sent.oldest().map_or(u64::MAX, |(counter, _)| counter);
        let mut ranges: SmallVec<[_; 8]> = ack
            .ranges()
            .take_while(|range| *range.end() >= oldest)
            .collect();
        ranges.reverse();
        let (mut bytes, mut largest_sent, mut marked) = (0, None, 0);
        for range in ranges {
            while let Some((counter, packet)) = self.sent.take_from(range.clone()) {
                if packet.eliciting && self.sent.is_of_path(counter) {
                    // Bare ACKs are acknowledged by the hundred, together with the next ack-eliciting
                    // datagram. Counted as delivered in that round trip, they would inflate the rate.
                    self.delivery
                        .on_acked(now, &packet.rate, packet.time, packet.bytes);
                    bytes += packet.bytes;
                }
                marked += u64::from(packet.marked && self.sent.is_of_path(counter));
                if counter == ack.largest && self.sent.is_of_path(counter) {
                    largest_sent = Some(packet.time);
                }
                acked.push(packet);
            }
        }
        let rtt = largest_sent
            .filter(|_| bytes > 0)
            .map(|sent| now.since(sent));
        NewlyAcked { bytes, rtt, marked }
    }

    /// Takes back an outcome that was applied, for its memory.
    pub(in crate::session) fn reuse(&mut self, outcome: AckOutcome) {
        if self.sent.in_flight() > 0 && outcome.acked.capacity() <= limits::ACK_MEMORY {
            self.spare = outcome;
        }
    }

    /// Returns the time at which [`expired`](Self::expired) is due.
    pub(in crate::session) fn timeout(&self) -> Option<Instant> {
        if self.loss_time.is_some() {
            return self.loss_time;
        }
        self.sent.has_eliciting().then(|| {
            let pto = self.rtt.pto() * 2_u32.saturating_pow(self.backoff.min(16));
            self.last_eliciting + pto.min(limits::MAX_PTO)
        })
    }

    /// Returns the probe timeout without backoff.
    pub(in crate::session) fn pto(&self) -> Duration {
        self.rtt.pto()
    }

    /// Handles the expired loss-detection timer.
    pub(in crate::session) fn expired(&mut self, now: Instant) -> Expired {
        if self.loss_time.is_some() {
            return Expired::Lost(AckOutcome {
                acked: Vec::new(),
                lost: self.detect_lost(now),
            });
        }
        self.backoff += 1;
        self.probes = limits::PROBES;
        self.last_eliciting = now;
        let oldest = self
            .sent
            .iter()
            .filter(|(_, packet)| packet.eliciting && !packet.is_size_probe())
            .take(usize::from(limits::PROBES));
        Expired::Probe(
            oldest
                .flat_map(|(_, packet)| packet.frames.clone())
                .collect(),
        )
    }

    /// Begins a batch of datagrams of one ECN codepoint.
    pub(in crate::session) const fn begin_batch(&mut self) {
        self.ecn.begin_batch(self.backoff > 0);
    }

    /// Returns true if a probe is to be sent, even if there is nothing else to send.
    pub(in crate::session) const fn is_probe_due(&self) -> bool {
        self.probes > 0
    }
}

/// Answer of window and pacer to a request to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Allowance {
    /// Number of bytes that may be sent now.
    Bytes(u64),
    /// The congestion window is full: nothing may be sent before an acknowledgement.
    Window,
    /// Nothing may be sent before this time.
    Paced(Instant),
}

#[cfg(test)]
mod size_probes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, Frames, encode_ack};

    #[test]
    fn bare_acks_do_not_inflate_the_delivery_rate() {
        let round_trip = Duration::from_millis(50);
        let paced_after = |bare: u64| {
            let mut now = Instant::from_micros(1);
            let mut recovery = Recovery::new(now, round_trip, 1200, 1);
            for _ in 0..bare {
                recovery.on_sent(now, 60, false, SentFrames::new());
                now += Duration::from_millis(5);
            }
            recovery.on_sent(now, 60, true, SentFrames::new());
            let mut payload = Vec::new();
            encode_ack(
                std::iter::once(0..=bare),
                Duration::ZERO,
                None,
                1000,
                &mut payload,
            );
            let Some(Ok(Frame::Ack(ack))) = Frames::new(&payload).next() else {
                panic!("an ACK");
            };
            recovery.on_ack(now + round_trip, &ack).unwrap();
            recovery.congestion.pacing_rate()
        };
        assert_eq!(paced_after(5000), paced_after(1));
    }
}
