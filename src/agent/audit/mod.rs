//! The audit record: one JSON line for each command accepted, started, ended or denied, with its
//! key and time.
//!
//! Not the log, which is for people and may be lost. The modules of the agent say what happened
//! ([`Record`]), without a clock or a file; [`Log`] writes it. Invariant: `accepted` is recorded
//! before anything is started, so nothing runs without a record where a record is required.

mod log;
mod record;

pub use log::{Config, Demand, Log, OpenError};
pub use record::{Command, Event, Record, Script};

/// Destination of records.
pub trait Audit {
    /// Writes a record before it returns.
    ///
    /// # Errors
    /// [`Unwritten`]
    fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten>;
}

/// Error: a required record could not be written. The recorded action must not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unwritten;

/// A destination that keeps no records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Off;

impl Audit for Off {
    fn put(&mut self, _: &Record<'_>) -> Result<(), Unwritten> {
        Ok(())
    }
}
