//! The record of who ran what, when, and how it ended: one JSON line for each command accepted, started,
//! ended or denied.
//!
//! Not the log, which is for people and may be lost. The rooms say what happened ([`Record`]), without a
//! clock or a file; [`Log`] writes it. Invariant: `accepted` is on record before anything is started, so
//! that where a record is required nothing runs without one.

mod log;
mod record;

pub use log::{Config, Demand, Log, OpenError};
pub use record::{Command, Event, Record, Script};

/// Where records go.
pub trait Audit {
    /// Puts one on record before it returns.
    ///
    /// # Errors
    /// [`Unwritten`]
    fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten>;
}

/// A record that is required could not be written: what it tells of must not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unwritten;

/// No record is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Off;

impl Audit for Off {
    fn put(&mut self, _: &Record<'_>) -> Result<(), Unwritten> {
        Ok(())
    }
}
