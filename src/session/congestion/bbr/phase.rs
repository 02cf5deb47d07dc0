//! The phases, and what each does to pacing and window.
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

/// What the flow is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Doubles each round until the rate no longer grows, or too much is lost.
    Startup,
    /// Lets the queue go that Startup made.
    Drain,
    /// Sends less than the path carries, to leave room.
    Down,
    /// Sends what the path carries.
    Cruise,
    /// Fills the pipe up for a round, so that Up tests the path and not the headroom.
    Refill,
    /// Sends more than the path is known to carry.
    Up,
    /// Sends half of what fills the pipe, to see the round trip without a queue.
    ProbeRtt,
}

impl Phase {
    /// Pacing, relative to the bandwidth.
    pub fn pacing_gain(self) -> Ratio {
        match self {
            Self::Startup => STARTUP_GAIN,
            Self::Drain => DRAIN_GAIN,
            Self::Down => DOWN_GAIN,
            Self::Up => UP_GAIN,
            Self::Cruise | Self::Refill | Self::ProbeRtt => Ratio::ONE,
        }
    }

    /// Window, relative to the bandwidth-delay product.
    pub fn window_gain(self) -> Ratio {
        match self {
            Self::Up => UP_WINDOW_GAIN,
            Self::ProbeRtt => PROBE_RTT_GAIN,
            _ => WINDOW_GAIN,
        }
    }

    /// Whether it means to find out how much more there is; congestion then has its own answer, and the
    /// lower bounds stay.
    pub fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    /// Whether it is one of the four phases of the steady state.
    pub fn is_steady(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }
}
