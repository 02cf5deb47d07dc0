//! Input and output of each command by itself, in the place of the standard streams of `udpctl`.
//!
//! The ends of two channels: a run tells what it wants and what has arrived, and a thread on the other side answers. Not what
//! the bytes mean. Invariant: the bytes on their way are bounded by the credit of the streams: input comes only when it was
//! wanted, and output counts as received only when it was taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};

/// End of a run.
#[derive(Debug)]
pub struct Exchange {
    /// Requests to the other side. They are bounded by credit.
    pub requests: Sender<ExchangeRequest>,
    /// Its answers.
    pub events: Receiver<ExchangeEvent>,
    /// Amount that was done.
    pub meter: Arc<Meter>,
}

/// Number of an attempt to run a command on a host.
pub type Attempt = u32;

/// Request or news of a run for the other side.
#[derive(Debug)]
pub enum ExchangeRequest {
    /// An attempt begins.
    Begin {
        /// The attempt.
        attempt: Attempt,
        /// The task.
        index: usize,
    },
    /// The command takes input. Wanted once for each piece of it.
    Wanted(Attempt),
    /// The command has written this to its standard output.
    Output(Attempt, Bytes),
    /// Nothing follows of the attempt.
    Ended(Attempt),
}

/// Answer of the other side.
#[derive(Debug)]
pub enum ExchangeEvent {
    /// Next piece of the input.
    Input(Attempt, Bytes),
    /// Output was taken, by the number of its bytes.
    Taken(Attempt, u64),
    /// The exchange has failed: the command is to be canceled.
    Failed(Attempt),
    /// A line for the user, about a task if one is named.
    Note(Option<usize>, String),
}

/// Amount that was done, for a person to watch.
#[derive(Default, Debug)]
pub struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    /// Adds bytes that were done.
    pub fn add(&self, bytes: u64) {
        let add = |done: u64| Some(done.saturating_add(bytes));
        let _ = self
            .done
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Sets the number of bytes that there are; 0 if it is not known.
    pub fn set_total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes that were done, and those that there are, if that is known and was not exceeded.
    #[must_use]
    pub fn read(&self) -> (u64, Option<u64>) {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        (done, (total > 0 && total >= done).then_some(total))
    }
}
