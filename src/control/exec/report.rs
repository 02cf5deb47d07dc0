//! What is known when a command is over.

use crate::message::{Cause, Outcome, RequestId};
use crate::wire::Lane;

/// Which of the two outputs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Standard output.
    Stdout = 0,
    /// Standard error.
    Stderr = 1,
}

impl Output {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// The lane that carries it.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Stdout => Lane::Main,
            Self::Stderr => Lane::Error,
        }
    }

    /// The output that a lane carries.
    #[must_use]
    pub const fn of(lane: Lane) -> Option<Self> {
        match lane {
            Lane::Control => None,
            Lane::Main => Some(Self::Stdout),
            Lane::Error => Some(Self::Stderr),
        }
    }
}

/// The result of a command on one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The request.
    pub id: RequestId,
    /// How it ended; `None`: it was left running, as [`Goal::Detach`](super::Goal::Detach) asks.
    pub outcome: Option<Outcome>,
    /// The agent took the request.
    pub accepted: bool,
    /// Where the outputs ended, as the job counts them: indexed by [`Output`].
    pub lengths: [u64; 2],
    /// Bytes below those lengths that the agent no longer held.
    pub missing: [u64; 2],
    /// Something still held stdout or stderr open when the agent stopped reading.
    pub streams_open: bool,
    /// Why the agent ended it, if it did.
    pub cause: Option<Cause>,
    /// What else is to be said, e.g. the peer's reason; not escaped.
    pub note: Option<String>,
}
