//! Commands as jobs.

mod processes;

pub use processes::{Exit, Force, JobId, Output, Processes, Spec};
