//! Numbers of pacing and congestion control, each with its source.
//!
//! "BBR" is draft-ietf-ccwg-bbr. Gains are ratios, so that integers suffice.

use std::time::Duration;

/// Datagrams that may always leave in one burst: the initial window (RFC 9002 §7.7).
pub const BURST_DATAGRAMS: u64 = 10;

/// The burst of a fast path: what two of its timer ticks carry, so that one late wake-up costs nothing.
pub const BURST_TIME: Duration = Duration::from_millis(2);

/// A sender that must wait waits for this much at once (BBR §4.6.3, send quantum).
pub const QUANTUM_TIME: Duration = Duration::from_millis(1);

/// But for no more than one GSO batch.
pub const QUANTUM_MAX: u64 = 64 << 10;

/// Gain of pacing in Startup: 4 ln 2, as a ratio (BBR, Startup).
pub const STARTUP_GAIN: Ratio = Ratio(277, 100);

/// Of the window while filling and probing (BBR, cwnd gain).
pub const WINDOW_GAIN: Ratio = Ratio(2, 1);

/// Datagrams that may always be in flight (BBR, minimum pipe cwnd).
pub const MIN_WINDOW_DATAGRAMS: u64 = 4;

/// Datagrams of the initial window, and its bound in bytes (RFC 9002 §7.2).
pub const INITIAL_WINDOW_DATAGRAMS: u64 = 10;
/// See [`INITIAL_WINDOW_DATAGRAMS`].
pub const INITIAL_WINDOW_BYTES: u64 = 14_720;

/// A factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(pub u64, pub u64);

impl Ratio {
    /// `value` times the factor, saturating, rounded down.
    #[must_use]
    pub fn of(self, value: u64) -> u64 {
        let product = u128::from(value) * u128::from(self.0) / u128::from(self.1);
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}
