//! Numbers of pacing and congestion control, each with its source.
//!
//! "BBR" is draft-ietf-ccwg-bbr, with the name of the parameter there. Gains are ratios, so that
//! integers suffice. What is the project's own says so, and why.

use std::time::Duration;

/// A factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio(pub u64, pub u64);

impl Ratio {
    /// One.
    pub const ONE: Self = Self(1, 1);

    /// `value` times the factor, rounded down, saturating.
    #[must_use]
    pub fn of(self, value: u64) -> u64 {
        let product = u128::from(value) * u128::from(self.0) / u128::from(self.1);
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

/// Datagrams that may always leave in one burst: the initial window (RFC 9002 §7.7).
pub const BURST_DATAGRAMS: u64 = 10;

/// The burst of a fast path. Our own: what two ticks of a timer carry, so that one late wake-up costs
/// nothing.
pub const BURST_TIME: Duration = Duration::from_millis(2);

/// A sender that must wait waits for this much at once (BBR, send quantum).
pub const QUANTUM_TIME: Duration = Duration::from_millis(1);

/// But for no more than one GSO batch (BBR, send quantum).
pub const QUANTUM_MAX: u64 = 64 << 10;

/// Datagrams of the initial window (RFC 9002 §7.2).
pub const INITIAL_WINDOW_DATAGRAMS: u64 = 10;

/// Its bound in bytes, unless two datagrams are more (RFC 9002 §7.2).
pub const INITIAL_WINDOW_BYTES: u64 = 14_720;

/// Datagrams that may always be in flight (BBR, `MinPipeCwnd`).
pub const MIN_WINDOW_DATAGRAMS: u64 = 4;

/// Round trip assumed for the first pacing rate, before one was measured (BBR, `InitPacingRate`).
pub const NOMINAL_RTT: Duration = Duration::from_millis(1);

/// Pacing in Startup: the least that doubles the rate every round (BBR, `StartupPacingGain`).
pub const STARTUP_GAIN: Ratio = Ratio(277, 100);

/// Pacing in Drain (BBR, `DrainPacingGain`).
pub const DRAIN_GAIN: Ratio = Ratio(1, 2);

/// Pacing in Down: with [`UP_GAIN`], the least deceleration by which flows converge to fair shares (BBR).
pub const DOWN_GAIN: Ratio = Ratio(9, 10);

/// Pacing in Up, and how many BDP it puts in flight before it is content (BBR).
pub const UP_GAIN: Ratio = Ratio(5, 4);

/// Every rate is paced so much below, for the queue's sake (BBR, `PacingMarginPercent`).
pub const PACING_MARGIN: Ratio = Ratio(99, 100);

/// Window in BDP, but for the phases below (BBR, `DefaultCwndGain`).
pub const WINDOW_GAIN: Ratio = Ratio(2, 1);

/// Window in Up (BBR).
pub const UP_WINDOW_GAIN: Ratio = Ratio(9, 4);

/// Window in `ProbeRTT` (BBR, `ProbeRTTCwndGain`).
pub const PROBE_RTT_GAIN: Ratio = Ratio(1, 2);

/// Drain gives up after so many rounds: the rate was overestimated (BBR).
pub const DRAIN_ROUNDS: u64 = 3;

/// While accelerating, less growth than this in a round is a plateau (BBR).
pub const PLATEAU_GROWTH: Ratio = Ratio(5, 4);

/// So many rounds of plateau mean that the pipe is full (BBR).
pub const PLATEAU_ROUNDS: u32 = 3;

/// Per mille of a round that may be lost when there is a queue, beyond what the path loses by itself
/// (BBR, `LossThresh`).
pub const LOSS_WITH_QUEUE: u64 = 20;

/// The same when the round trips show no queue. Our own: radio links lose this much at random, and a
/// lower rate would not make them lose less.
pub const LOSS_WITHOUT_QUEUE: u64 = 50;

/// Per mille that a path is believed to lose by itself. Our own: the project promises to go on at 300,
/// and beyond 400 probing at [`UP_GAIN`] no longer makes up for it.
pub const OWN_LOSS_MAX: u64 = 400;

/// Datagrams to be counted before a path's own loss is told. Our own: at 30 % two standard deviations
/// are then a third of it.
pub const LOOK_DATAGRAMS: u64 = 96;

/// A path that was looked at and lost nothing by itself is not suspected again for so long. Our own:
/// a look costs as much as `ProbeRTT`.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// In Startup a smaller round is not suspected: what it can flood is little, and to stop there costs
/// many rounds. Our own.
pub const SUSPECT_DATAGRAMS: u64 = 64;

/// Rounds that counting them may take. Our own.
pub const LOOK_ROUNDS: u32 = 6;

/// Standard deviations by which a round's loss must exceed these, so that short rounds are not judged
/// by chance. Our own; it takes the place of BBR's count of loss events.
pub const LOSS_DEVIATIONS: u64 = 3;

/// A round in which no round trip was shorter than this times the minimum has a queue. Our own: flows
/// that share a shallow queue must all see it, or those that do not starve the others.
pub const QUEUE_RTT: Ratio = Ratio(17, 16);

/// And longer than the minimum by this. Our own: a fast path's jitter is not a queue.
pub const QUEUE_SLACK: Duration = Duration::from_millis(1);

/// What a round of congestion leaves at least of rate and volume (BBR, `Beta`).
pub const BETA: Ratio = Ratio(7, 10);

/// Share of the long-term volume that Cruise uses, so that others find room (BBR, 1 - `Headroom`).
pub const HEADROOM: Ratio = Ratio(85, 100);

/// Least time between two probes for bandwidth; up to [`PROBE_WAIT_SPREAD`] is added at random (BBR, `T_bbr`).
pub const PROBE_WAIT: Duration = Duration::from_secs(2);

/// See [`PROBE_WAIT`].
pub const PROBE_WAIT_SPREAD: Duration = Duration::from_secs(1);

/// Rounds after which it is probed at the latest, so that Reno flows on short paths find us no worse
/// than themselves (BBR, `T_reno`).
pub const PROBE_ROUNDS: u64 = 63;

/// The slope of growth in Up doubles each round, so often at most (BBR).
pub const SLOPE_ROUNDS: u32 = 30;

/// A minimal round trip is believed this long (BBR, `MinRTTFilterLen`).
pub const MIN_RTT_AGE: Duration = Duration::from_secs(10);

/// Without a sample as low as the minimum for this long, the queue is drained to find one (BBR version 3,
/// `ProbeRTTInterval`).
pub const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);

/// And kept drained so long, so that flows do it together (BBR, `ProbeRTTDuration`).
pub const PROBE_RTT_TIME: Duration = Duration::from_millis(200);

/// Rounds over which the degree of aggregation is remembered (BBR, `ExtraAckedFilterLen`).
pub const AGGREGATION_ROUNDS: u64 = 10;
