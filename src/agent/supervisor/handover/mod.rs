//! The handover: the program is executed anew in the same process, with its jobs.
//!
//! A new program is tried first (`trial`). Then the front is ended, the state is written to a file in memory
//! (`state`), and the program takes the place of this one. It takes the descriptors (`inherited`), starts a
//! recorder, a guard and a front of its own, and continues. To the controllers this is the end of a front.
//!
//! Invariants: nothing that was read or accepted is forgotten; until the new program follows the jobs, the guard of the
//! old one does, so that they are never neither followed nor ended.

mod inherited;
mod program;
mod restore;
mod save;
mod state;
mod trial;

pub use inherited::{Descriptors, Inherited, VARIABLE};
pub use program::{FileIdentity, Program};
pub use state::{ChildState, InletState, IoState, JobState, OutletState, State};
pub use trial::{LAUNCHER, TRIAL, Trial, launch, report as report_trial};
