//! Report on a command that has ended, or that its controller no longer follows.

mod words;

pub use words::{described, is_open, missing, notices, words};

use crate::message::{Cause, Outcome, RequestId};
use crate::wire::Lane;

/// One of the two outputs of a command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Standard output.
    Stdout = 0,
    /// Standard error.
    Stderr = 1,
}

impl Output {
    /// Both outputs, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// Returns the lane that carries the output.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Stdout => Lane::Data,
            Self::Stderr => Lane::Stderr,
        }
    }

    /// Returns the output that a lane carries; the control lane carries none.
    #[must_use]
    pub const fn of(lane: Lane) -> Option<Self> {
        match lane {
            Lane::Control => None,
            Lane::Data => Some(Self::Stdout),
            Lane::Stderr => Some(Self::Stderr),
        }
    }
}

/// Result of a command on one host.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct Report {
    /// Request id.
    pub id: RequestId,
    /// Outcome; `None` if the command was left running, or its result left at the agent.
    pub outcome: Option<Outcome>,
    /// True if the agent accepted the request.
    pub accepted: bool,
    /// Final lengths of the outputs in bytes, counted from the beginning of the job; indexed by [`Output`].
    pub lengths: [u64; 2],
    /// Bytes below those lengths that the agent no longer held; indexed by [`Output`].
    pub missing: [u64; 2],
    /// True if a process still held stdout or stderr open when the agent stopped reading.
    pub streams_open: bool,
    /// Reason why the agent ended the command, if it did.
    pub cause: Option<Cause>,
    /// True if the process still runs, because it could not be killed.
    pub still_running: bool,
    /// Process id on the agent's host, if it is known.
    pub pid: Option<i32>,
    /// Error number of the agent's system, if the home directory could not be entered and the command ran in `/`.
    pub home: Option<i32>,
    /// Further explanation, such as the peer's reason for closing the session; not escaped.
    pub note: Option<String>,
    /// True if the note is a report of the network that the agent is not reached.
    pub is_refused: bool,
}

impl Report {
    /// Creates the report on a request without output.
    #[must_use]
    pub const fn new(id: RequestId, outcome: Option<Outcome>) -> Self {
        Self {
            id,
            outcome,
            accepted: false,
            lengths: [0, 0],
            missing: [0, 0],
            streams_open: false,
            cause: None,
            still_running: false,
            pid: None,
            home: None,
            note: None,
            is_refused: false,
        }
    }
}
