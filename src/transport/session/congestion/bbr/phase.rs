//! The phases of the controller, with their gains.
//!
//! `Down`, `Cruise`, `Refill` and `Up` are the states `ProbeBW_DOWN`, `ProbeBW_CRUISE`,
//! `ProbeBW_REFILL` and `ProbeBW_UP` of the BBR draft.
//!
//! ```text
//!            Startup ----> Drain ----> Down <-----------+
//!               ^                       |  queue gone   |
//!               |                       v               |
//!               |                     Cruise            |
//!               |                       |  2..3 s       |
//!               |                       v               | pipe full,
//!               |                     Refill            | or too much lost
//!               |                       |  one round    |
//!               |                       v               |
//!               |                      Up --------------+
//!               |
//!  any phase, no low round trip for 5 s: ProbeRtt, then back to Startup if the pipe was never full,
//!  to Cruise otherwise. Persistent congestion: Startup, knowing nothing.
//! ```

use super::super::limits::{
    DOWN_GAIN, DRAIN_GAIN, PROBE_RTT_GAIN, Ratio, STARTUP_GAIN, UP_GAIN, UP_WINDOW_GAIN,
    WINDOW_GAIN,
};

/// A phase of the controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Doubles the rate each round until the delivery rate no longer grows or too much is lost.
    Startup,
    /// Drains the queue that Startup built.
    Drain,
    /// Sends less than the path carries, to leave headroom.
    Down,
    /// Sends what the path carries.
    Cruise,
    /// Fills the pipe for a round, so that Up tests the path and not the headroom.
    Refill,
    /// Sends more than the path is known to carry.
    Up,
    /// Sends half of what fills the pipe, to measure the round trip without a queue.
    ProbeRtt,
}

impl Phase {
    /// Pacing rate in multiples of the bandwidth.
    pub fn pacing_gain(self) -> Ratio {
        match self {
            Self::Startup => STARTUP_GAIN,
            Self::Drain => DRAIN_GAIN,
            Self::Down => DOWN_GAIN,
            Self::Up => UP_GAIN,
            Self::Cruise | Self::Refill | Self::ProbeRtt => Ratio::ONE,
        }
    }

    /// Window in multiples of the bandwidth-delay product.
    pub fn window_gain(self) -> Ratio {
        match self {
            Self::Up => UP_WINDOW_GAIN,
            Self::ProbeRtt => PROBE_RTT_GAIN,
            Self::Startup | Self::Drain | Self::Down | Self::Cruise | Self::Refill => WINDOW_GAIN,
        }
    }

    /// Returns true if the phase looks for more bandwidth. It then has its own reaction to
    /// congestion, and the short-term bounds do not change.
    pub fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    /// Returns true for the four phases of the steady state (BBR, `ProbeBW`).
    pub fn is_steady(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }
}
