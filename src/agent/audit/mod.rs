//! The audit record: one JSON line for each event that concerns the rights of a key or the life of a command, with
//! key and time.
//!
//! Not the log, which is for people and may be lost. The modules of the agent say what happened
//! ([`Record`]), without a clock or a file; [`Log`] writes it, in the process of the
//! [recorder](super::recorder). Invariant: `accepted` is recorded
//! before anything is started, so nothing runs without a record where a record is required.

mod event;
mod file;
mod key_change;
mod log;
mod record;

pub use event::{Command, Event, Script};
pub use file::OpenError;
pub use key_change::{Change, KeyChange, key_changes};
pub use log::{Config, Demand, Log, write_stderr};
pub use record::{Record, is_front_line, now, visible};

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
