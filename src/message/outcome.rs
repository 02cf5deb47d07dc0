//! Outcomes of a command: the closed set, each with its row of the table.
//!
//! Not the table itself, which is in `table.rs`. Invariant: whatever follows from an outcome is read from
//! [`Outcome::row`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fate::Fate;
use super::signal::signal_name;
use super::status;
use super::table::{
    BUSY, CANCELED, CONFLICT, DENIED, EXITED, EXPIRED, LOST, NOT_FOUND, Row, SIGNALED,
    SPAWN_FAILED, TIMED_OUT, UNKNOWN, UNREACHABLE,
};

/// Outcome of a command, as far as it is known. All members are required.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The command ran and returned.
    Exited {
        /// Exit code, 0 to 255.
        code: u8,
    },
    /// The command ran and a signal ended it.
    Signaled {
        /// Signal number on the agent's system, 1 to 64 on Linux.
        signal: i32,
        /// True if the system wrote a core dump.
        core: bool,
    },
    /// The command could not be started.
    SpawnFailed {
        /// Error number (`errno`) of the agent's system.
        errno: i32,
        /// Step that failed.
        step: StartStep,
    },
    /// A deadline passed, the request's or the agent's, and the agent ended the command.
    TimedOut {},
    /// The command was ended on request, by its lease, by a limit, with its key, or with the agent; or it was
    /// canceled before the request was sent.
    Canceled {},
    /// The key may not run the command.
    Denied {},
    /// The agent runs as many commands as it may.
    Busy {},
    /// The request id is in use for another request.
    Conflict {},
    /// The agent has forgotten the request: its result was collected, or it is older than the agent's memory.
    Expired {},
    /// The agent accepted the command and then fell silent, or ended and left the command running, or was killed and
    /// does not know how the command has ended.
    Lost {},
    /// The agent never answered.
    Unreachable {},
    /// The agent does not know the request: it has restarted since the request was sent.
    Unknown {},
}

/// Step of the start of a command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartStep {
    /// Entering the working directory that was asked for.
    Directory,
    /// Any other, which nearly always is the execution of the program.
    #[default]
    Program,
}

/// One outcome for each row of the table, in the table's order.
pub const ALL: [Outcome; 12] = [
    Outcome::Exited { code: 0 },
    Outcome::Signaled {
        signal: 9,
        core: false,
    },
    Outcome::SpawnFailed {
        errno: ENOENT,
        step: StartStep::Program,
    },
    Outcome::TimedOut {},
    Outcome::Canceled {},
    Outcome::Denied {},
    Outcome::Busy {},
    Outcome::Conflict {},
    Outcome::Expired {},
    Outcome::Lost {},
    Outcome::Unreachable {},
    Outcome::Unknown {},
];

const ENOENT: i32 = 2;

impl Outcome {
    /// Returns the row of the table.
    #[must_use]
    pub fn row(self) -> Row {
        match self {
            Self::Exited { code } => Row {
                fate: if code == 0 { Fate::Ok } else { Fate::Failed },
                exit_status: code,
                ..EXITED
            },
            Self::Signaled { signal, .. } => Row {
                exit_status: u8::try_from(signal)
                    .map_or(status::UDPCTL_FAILURE, |signal| 128 | signal),
                ..SIGNALED
            },
            Self::SpawnFailed {
                errno: ENOENT,
                step: StartStep::Program,
            } => Row {
                exit_status: NOT_FOUND,
                ..SPAWN_FAILED
            },
            Self::SpawnFailed { .. } => SPAWN_FAILED,
            Self::TimedOut {} => TIMED_OUT,
            Self::Canceled {} => CANCELED,
            Self::Denied {} => DENIED,
            Self::Busy {} => BUSY,
            Self::Conflict {} => CONFLICT,
            Self::Expired {} => EXPIRED,
            Self::Lost {} => LOST,
            Self::Unreachable {} => UNREACHABLE,
            Self::Unknown {} => UNKNOWN,
        }
    }

    /// Returns true if the command ran and returned 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.row().fate == Fate::Ok
    }

    /// Returns the exit status of `udpctl exec` with one target.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        self.row().exit_status
    }
}

/// Description in words, without the host.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().words)?;
        match *self {
            Self::Exited { code } => write!(f, " with status {code}"),
            Self::Signaled { signal, core } => {
                write!(f, " {signal}")?;
                if let Some(name) = signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                f.write_str(if core { ", core dumped" } else { "" })
            }
            Self::SpawnFailed { errno, step } => {
                let error = std::io::Error::from_raw_os_error(errno).to_string();
                let error = error.split(" (os error").next().unwrap_or_default();
                match step {
                    StartStep::Directory => write!(f, " in its working directory: {error}"),
                    StartStep::Program => write!(f, ": {error}"),
                }
            }
            Self::TimedOut {}
            | Self::Canceled {}
            | Self::Denied {}
            | Self::Busy {}
            | Self::Conflict {}
            | Self::Expired {}
            | Self::Lost {}
            | Self::Unreachable {}
            | Self::Unknown {} => Ok(()),
        }
    }
}

impl Fate {
    /// Returns the class of an outcome; `None` stands for a command that was left running as requested.
    #[must_use]
    pub fn of(outcome: Option<Outcome>) -> Self {
        outcome.map_or(Self::Ok, |outcome| outcome.row().fate)
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Held, Ran};
    use super::*;

    #[test]
    fn a_row_has_the_name_that_the_json_has() {
        for outcome in ALL {
            let json = serde_json::to_value(outcome).unwrap();
            let name = json.as_object().unwrap().keys().next().unwrap().clone();
            assert_eq!(name, outcome.row().name);
            assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), outcome);
        }
    }

    #[test]
    fn words_and_exit_status_follow_the_members() {
        let signaled = Outcome::Signaled {
            signal: 11,
            core: true,
        };
        assert_eq!(
            signaled.to_string(),
            "ended by signal 11 (SEGV), core dumped"
        );
        assert_eq!(signaled.exit_status(), 139);
        let failed = |errno, step| Outcome::SpawnFailed { errno, step };
        let missing = failed(2, StartStep::Program);
        assert_eq!(
            missing.to_string(),
            "could not be started: No such file or directory"
        );
        assert_eq!(missing.exit_status(), 127);
        assert_eq!(failed(13, StartStep::Program).exit_status(), 126);
        let nowhere = failed(2, StartStep::Directory);
        assert_eq!(
            nowhere.to_string(),
            "could not be started in its working directory: No such file or directory"
        );
        assert_eq!(nowhere.exit_status(), 126, "the program is not missing");
        assert_eq!(Outcome::Lost {}.exit_status(), 255);
        assert!(ALL.iter().filter(|outcome| outcome.is_success()).count() == 1);
    }

    #[test]
    fn the_table_has_a_row_for_every_outcome() {
        // serde names all variants in the error about one that does not exist.
        let error = serde_json::from_str::<Outcome>(r#"{"nonsense":{}}"#).unwrap_err();
        let error = error.to_string();
        let names: Vec<_> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(names, ALL.map(|outcome| outcome.row().name), "{error}");
    }

    #[test]
    fn an_explanation_says_whether_the_command_ran() {
        let explanation = |outcome: Outcome| outcome.row().explanation();
        for outcome in ALL {
            let text = explanation(outcome);
            let said = match outcome.row().ran {
                Ran::Yes => text.contains("ran") || text.contains("ended the command"),
                Ran::No => text.ends_with(". Nothing ran."),
                Ran::Maybe => text.ends_with(". The command may have run."),
            };
            assert!(said, "{outcome:?}: {text}");
        }
        assert_eq!(
            explanation(Outcome::Busy {}),
            "The agent runs as many commands as it may. Nothing ran."
        );
    }

    #[test]
    fn an_agent_holds_no_result_of_a_command_that_did_not_run() {
        for row in ALL.map(Outcome::row) {
            assert!(row.ran != Ran::No || row.held == Held::Nothing, "{row:?}");
            assert!(row.ran != Ran::Yes || row.held == Held::Result, "{row:?}");
        }
    }
}
