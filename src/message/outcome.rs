//! How a command ended: the closed set, and everything that is said about each member.

use serde::{Deserialize, Serialize};

/// How a command ended, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran and returned.
    Exited {
        /// 0 to 255.
        code: u8,
    },
    /// It ran and a signal ended it.
    Signaled {
        /// The signal's number on the agent's system.
        signal: i32,
        /// It left a core dump.
        core: bool,
    },
    /// It could not be started.
    SpawnFailed {
        /// The error number of the agent's system.
        errno: i32,
    },
    /// The deadline passed and the agent ended it.
    TimedOut {},
    /// It was ended on request, by its lease, or by the agent's shutdown.
    Canceled {},
    /// The key may not run it. Nothing ran.
    Denied {},
    /// The agent has no room for it. Nothing ran.
    Busy {},
    /// The request id is in use for another request. Nothing ran.
    Conflict {},
    /// The request is older than the agent remembers. It may have run.
    Expired {},
    /// Accepted, then silence. It may have run.
    Lost {},
    /// No answer at all. It may have run only if something answered before.
    Unreachable {},
    /// The agent does not know the request: it has restarted since. It may have run.
    Unknown {},
}

impl Outcome {
    /// Success: it ran and returned 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }

    /// What `udpctl exec` with one plain target exits with.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Exited { code } => code,
            Self::Signaled { signal, .. } => {
                u8::try_from(signal).map_or(255, |signal| 128 | signal)
            }
            // ENOENT: the shell's "not found"; anything else is "could not start".
            Self::SpawnFailed { errno: 2 } => 127,
            Self::SpawnFailed { .. } => 126,
            Self::TimedOut {} => 124,
            _ => 255,
        }
    }
}
