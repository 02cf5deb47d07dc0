//! Readiness of the parts of a process.
//!
//! Readiness is edge-triggered: a part that is ready stays so until a call finds nothing left. Invariant: a part is in
//! the queue of the supervisor at most once.

use crate::agent::jobs::Output;

/// Part of a process that can become ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// stdin can be written.
    Stdin = 0,
    /// stdout can be read.
    Stdout = 1,
    /// stderr can be read.
    Stderr = 2,
    /// The leader has ended.
    Leader = 3,
    /// The start has succeeded or failed.
    Start = 4,
}

impl Part {
    /// All parts, by number.
    pub const ALL: [Self; 5] = [
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::Leader,
        Self::Start,
    ];

    /// Returns the part of an output.
    pub const fn of(output: Output) -> Self {
        match output {
            Output::Out => Self::Stdout,
            Output::Err => Self::Stderr,
        }
    }
}

/// Readiness of a pipe, as far as it was reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Possibly ready. `queued` is true if it is in the queue.
    Ready { queued: bool },
    /// Not ready; the poll will report it.
    Blocked,
    /// Perhaps ready; the clock will report it.
    Paused,
}

impl State {
    /// Requests a turn. Returns true if the part must be queued for it.
    pub const fn want(&mut self) -> bool {
        let idle = matches!(self, Self::Ready { queued: false });
        if idle {
            *self = Self::Ready { queued: true };
        }
        idle
    }

    /// Processes a report of the poll or the clock.
    pub const fn wake(&mut self) {
        if matches!(self, Self::Blocked | Self::Paused) {
            *self = Self::Ready { queued: false };
        }
    }

    /// Processes the removal from the queue.
    pub const fn dequeue(&mut self) {
        if let Self::Ready { queued } = self {
            *queued = false;
        }
    }
}
