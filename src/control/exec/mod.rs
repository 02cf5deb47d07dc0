//! `udpctl exec` and `attach`: a command on one host or many, and its true result.
//!
//! [`Attempt`] is the machine for one host.

mod attempt;
mod report;

pub use attempt::{Action, Attempt, Config, Goal, Opening};
pub use report::{Output, Report};
