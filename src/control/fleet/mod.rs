//! Decisions about a run over many hosts: their order and number at a time, when to stop, and what to repeat later.
//!
//! Sans-IO; [`LastRun`] alone touches its file. Not the commands on the hosts, which are in
//! [`exec`](super::exec).

mod class;
mod last_run;
mod schedule;
mod share;
mod substitution;

pub use class::Class;
pub use last_run::LastRun;
pub use schedule::{Batches, Canary, Rules, Schedule, Stop, Then};
pub use share::{ParseShareError, Share};
pub use substitution::{HostWords, substitute};
