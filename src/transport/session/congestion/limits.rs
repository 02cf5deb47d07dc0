//! Constants of pacing and congestion control, each with its source.
//!
//! "BBR" stands for draft-ietf-ccwg-bbr, followed by the name of the parameter there. Gains are
//! ratios of integers, so that no floating point is needed. Constants that are not taken from a
//! specification are marked "Ours" and give their reason.

use std::time::Duration;

use crate::time::micros;

/// A rational factor: numerator and denominator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio(pub u64, pub u64);

impl Ratio {
    /// The factor one.
    pub const ONE: Self = Self(1, 1);

    /// Returns `value` times the factor, rounded down, saturating.
    #[must_use]
    pub fn of(self, value: u64) -> u64 {
        // A division of 128 bits takes several times as long.
        if let Some(product) = value.checked_mul(self.0) {
            return product / self.1;
        }
        let product = u128::from(value) * u128::from(self.0) / u128::from(self.1);
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

/// Length of a burst on a fast path. Ours: the bytes of two timer ticks, so that one late wake-up
/// loses no throughput.
pub const BURST_TIME: Duration = Duration::from_millis(2);

/// Time over which one batch is paced: a sender that must wait, waits for this much credit (BBR,
/// `send_quantum`).
pub const QUANTUM_TIME: Duration = Duration::from_millis(1);

/// Upper bound of a batch in bytes: one GSO batch (BBR, `send_quantum`).
pub const QUANTUM_MAX: u64 = 64 << 10;

/// Initial window in datagrams (RFC 9002 §7.2).
pub const INITIAL_WINDOW_DATAGRAMS: u64 = 10;

/// Upper bound of the initial window in bytes, unless two datagrams are more (RFC 9002 §7.2).
pub const INITIAL_WINDOW_BYTES: u64 = 14_720;

/// Returns the initial window for datagrams of this size.
#[must_use]
pub fn initial_window(datagram: u64) -> u64 {
    (INITIAL_WINDOW_DATAGRAMS * datagram).min(INITIAL_WINDOW_BYTES.max(2 * datagram))
}

/// Round-trip time up to which the initial window is that of RFC 9002. On a longer path, if its round-trip time is known,
/// the window is larger in proportion and spread over that time, so that the rate is the same. Ours: a flow over a long
/// path starts as fast as one over a short path, and takes nothing more from it.
pub const SPREAD_RTT: Duration = Duration::from_micros(62_500);

/// Upper bound of that window in datagrams. Ours: that of a path of 200 ms, which is filled 1.7 round trips sooner.
pub const SPREAD_WINDOW_DATAGRAMS: u64 = 32;

/// Returns the initial window for datagrams of this size on a path whose round-trip time is known.
#[must_use]
pub fn spread_window(datagram: u64, rtt: Duration) -> u64 {
    let least = initial_window(datagram);
    let most = Ratio(SPREAD_WINDOW_DATAGRAMS, INITIAL_WINDOW_DATAGRAMS).of(least);
    let in_proportion = Ratio(micros(rtt), micros(SPREAD_RTT)).of(least);
    in_proportion.clamp(least, most)
}

/// Minimum window in datagrams (BBR, `MinPipeCwnd`).
pub const MIN_WINDOW_DATAGRAMS: u64 = 4;

/// Round-trip time assumed for the first pacing rate, before a sample exists (BBR,
/// `InitPacingRate`).
pub const NOMINAL_RTT: Duration = Duration::from_millis(1);

/// Pacing gain in Startup: the smallest that doubles the rate every round (BBR,
/// `StartupPacingGain`).
pub const STARTUP_GAIN: Ratio = Ratio(277, 100);

/// Pacing gain in Drain (BBR, `DrainPacingGain`).
pub const DRAIN_GAIN: Ratio = Ratio(1, 2);

/// Pacing gain in `ProbeBW_DOWN`. Together with [`UP_GAIN`] the smallest deceleration with which
/// flows converge to fair shares (BBR).
pub const DOWN_GAIN: Ratio = Ratio(9, 10);

/// Pacing gain in `ProbeBW_UP`, and the multiple of the BDP in flight at which that phase ends
/// (BBR).
pub const UP_GAIN: Ratio = Ratio(5, 4);

/// Factor applied to every pacing rate, to keep the queue short (BBR, `PacingMarginPercent`).
pub const PACING_MARGIN: Ratio = Ratio(99, 100);

/// Window in multiples of the BDP, except in the phases below (BBR, `DefaultCwndGain`).
pub const WINDOW_GAIN: Ratio = Ratio(2, 1);

/// Window in `ProbeBW_UP`, in multiples of the BDP (BBR).
pub const UP_WINDOW_GAIN: Ratio = Ratio(9, 4);

/// Window in `ProbeRTT`, in multiples of the BDP (BBR, `ProbeRTTCwndGain`).
pub const PROBE_RTT_GAIN: Ratio = Ratio(1, 2);

/// Rounds after which Drain ends in any case, because the rate was overestimated (BBR).
pub const DRAIN_ROUNDS: u64 = 3;

/// Growth of the delivery rate that shows a path that is not full: a round with less is a plateau
/// (BBR, full-pipe estimator).
pub const PLATEAU_GROWTH: Ratio = Ratio(5, 4);

/// Consecutive rounds of plateau after which the pipe counts as full (BBR).
pub const PLATEAU_ROUNDS: u32 = 3;

/// Loss per mille of a round that is tolerated in the presence of a queue, beyond the loss that the
/// path has by itself (BBR, `LossThresh`).
pub const LOSS_WITH_QUEUE: u64 = 20;

/// Loss per mille that is tolerated if the round trips show no queue. Ours: radio links lose this
/// much at random, and a lower rate would not reduce the loss.
pub const LOSS_WITHOUT_QUEUE: u64 = 50;

/// Highest loss per mille that a path is believed to have by itself. Ours: the project promises to
/// work at 300, and beyond 400 probing at [`UP_GAIN`] no longer compensates the loss.
pub const OWN_LOSS_MAX: u64 = 400;

/// Datagrams to count before a path's own loss is estimated. Ours: at 30 % loss two standard
/// deviations are then a third of the estimate.
pub const LOOK_DATAGRAMS: u64 = 96;

/// Time for which a path that was found to have no loss of its own is not measured again. Ours: a
/// measurement costs as much as `ProbeRTT`.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Smallest round, in datagrams, whose loss ends Startup for a measurement. Ours: a smaller flight
/// cannot flood much, and to leave Startup early costs many rounds.
pub const SUSPECT_DATAGRAMS: u64 = 64;

/// Upper bound of a measurement of the path's own loss, in rounds. Ours.
pub const LOOK_ROUNDS: u32 = 6;

/// Standard deviations by which the loss of a round must exceed the thresholds above, so that
/// chance does not decide about short rounds. Ours; takes the place of BBR's count of loss events.
pub const LOSS_DEVIATIONS: u64 = 3;

/// A round has a queue if no round trip in it was shorter than this multiple of the minimum. Ours:
/// flows that share a shallow queue must all detect it, or those that do not starve the others.
pub const QUEUE_RTT: Ratio = Ratio(17, 16);

/// Least delay above the minimum that counts as a queue, in addition to [`QUEUE_RTT`]. Ours: the
/// jitter of a fast path is no queue.
pub const QUEUE_SLACK: Duration = Duration::from_millis(1);

/// Share of rate and volume that a congested round leaves at least (BBR, `Beta`).
pub const BETA: Ratio = Ratio(7, 10);

/// Share of the long-term volume that `ProbeBW_CRUISE` uses, so that other flows find capacity
/// (BBR, 1 - `Headroom`).
pub const HEADROOM: Ratio = Ratio(85, 100);

/// Minimum time between two probes for bandwidth. A random time of up to [`PROBE_WAIT_SPREAD`] is
/// added (BBR, `T_bbr`).
pub const PROBE_WAIT: Duration = Duration::from_secs(2);

/// Random addition to [`PROBE_WAIT`].
pub const PROBE_WAIT_SPREAD: Duration = Duration::from_secs(1);

/// Rounds after which a probe for bandwidth starts at the latest, so that Reno flows on paths with
/// a small BDP are treated no worse than by Reno (BBR, `T_reno`).
pub const PROBE_ROUNDS: u64 = 63;

/// Upper bound of the number of times that the growth in `ProbeBW_UP` doubles, once each round
/// (BBR).
pub const SLOPE_ROUNDS: u32 = 30;

/// Lifetime of a minimum round-trip time (BBR, `MinRTTFilterLen`).
pub const MIN_RTT_AGE: Duration = Duration::from_secs(10);

/// Time without a sample as low as the minimum after which the queue is drained to find one (BBR
/// version 3, `ProbeRTTInterval`).
pub const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);

/// Time for which the queue is kept drained, so that flows overlap in doing so (BBR,
/// `ProbeRTTDuration`).
pub const PROBE_RTT_TIME: Duration = Duration::from_millis(200);

/// Rounds after its first loss for which an episode of losses can be undone. Ours: packets that arrive
/// later than that are seen by the time threshold of loss detection, at most two round trips.
pub const UNDO_ROUNDS: u64 = 3;

/// Rounds for which the degree of ACK aggregation is remembered (BBR, `ExtraAckedFilterLen`).
pub const AGGREGATION_ROUNDS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::Ratio;

    #[test]
    fn a_product_beyond_64_bits_is_exact_until_it_saturates() {
        assert_eq!(Ratio(3, 2).of(5), 7);
        assert_eq!(Ratio(1_000_000, 1_000_000).of(u64::MAX), u64::MAX);
        assert_eq!(Ratio(1 << 40, 1 << 20).of(1 << 30), 1 << 50);
        assert_eq!(Ratio(3, 1).of(u64::MAX / 2), u64::MAX);
    }
}
