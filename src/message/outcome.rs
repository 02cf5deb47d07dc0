//! How a command ended: the closed set, and everything that is said about each member.

use std::fmt;

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

/// What is said about an outcome: its row in the table that messages, man page and help print from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its name in JSON.
    pub name: &'static str,
    /// What `udpctl exec` with one target exits with, in words.
    pub status: &'static str,
    /// What happened, in a few words.
    pub words: &'static str,
    /// What that means, in a sentence or two.
    pub meaning: &'static str,
}

/// A member for each row of the table, in its order.
pub const ALL: [Outcome; 12] = [
    Outcome::Exited { code: 0 },
    Outcome::Signaled {
        signal: 9,
        core: false,
    },
    Outcome::SpawnFailed { errno: 2 },
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

/// The last signal of Linux, `signal(7)`.
pub const MAX_SIGNAL: i32 = 64;

impl Outcome {
    /// What is said about it. The one home of these words.
    #[must_use]
    pub const fn row(self) -> Row {
        let (name, status, words, meaning) = match self {
            Self::Exited { .. } => (
                "exited",
                "the command's",
                "exited",
                "The command ran and returned this status.",
            ),
            Self::Signaled { .. } => (
                "signaled",
                "128 + the signal",
                "ended by signal",
                "The command ran and a signal ended it.",
            ),
            Self::SpawnFailed { .. } => (
                "spawn_failed",
                "127 when there is no such program, else 126",
                "could not be started",
                "The agent could not start the program. Nothing ran.",
            ),
            Self::TimedOut {} => (
                "timed_out",
                "124",
                "timed out",
                "The time given with --timeout passed, or that which the agent gives every command, and \
                 the agent ended it.",
            ),
            Self::Canceled {} => (
                "canceled",
                "255; 130 after Ctrl-C",
                "canceled",
                "The agent ended the command: on request, because its controller was silent for longer than \
                 the lease, because it wrote more than the agent lets it, because its key was removed, or \
                 because the agent was shut down.",
            ),
            Self::Denied {} => (
                "denied",
                "255",
                "denied",
                "The agent does not let this key run the command. Nothing ran.",
            ),
            Self::Busy {} => (
                "busy",
                "255",
                "busy",
                "The agent runs as many commands as it may. Nothing ran.",
            ),
            Self::Conflict {} => (
                "conflict",
                "255",
                "the request id is in use for another request",
                "The id given with --id belongs to another command. Nothing ran.",
            ),
            Self::Expired {} => (
                "expired",
                "255",
                "the request is older than the agent remembers",
                "The agent has forgotten the request. It may have run.",
            ),
            Self::Lost {} => (
                "lost",
                "255",
                "lost: accepted, then no answer",
                "The agent had taken the command and then did not answer, or ended and left it running. It \
                 has run or may have.",
            ),
            Self::Unreachable {} => (
                "unreachable",
                "255",
                "no answer",
                "No answer came at all: wrong address, no agent, a firewall, or a key that the agent does \
                 not know, because agents are silent to strangers. The command has not run, unless \
                 every answer was lost on the way.",
            ),
            Self::Unknown {} => (
                "unknown",
                "255",
                "the agent does not know the request",
                "The agent has restarted since it was sent the command. It may have run.",
            ),
        };
        Row {
            name,
            status,
            words,
            meaning,
        }
    }

    /// Success: it ran and returned 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }

    /// A process was started, surely.
    #[must_use]
    pub const fn has_run(self) -> bool {
        matches!(
            self,
            Self::Exited { .. } | Self::Signaled { .. } | Self::TimedOut {} | Self::Canceled {}
        )
    }

    /// What `udpctl exec` with one plain target exits with.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Exited { code } => code,
            Self::Signaled { signal, .. } => {
                u8::try_from(signal).map_or(255, |signal| 128 | signal)
            }
            // The shell's "not found"; anything else is "could not start".
            Self::SpawnFailed { errno: ENOENT } => 127,
            Self::SpawnFailed { .. } => 126,
            Self::TimedOut {} => 124,
            _ => 255,
        }
    }
}

/// In words, without the host.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.row().words;
        match *self {
            Self::Exited { code } => write!(f, "{words} with status {code}"),
            Self::Signaled { signal, core } => {
                write!(f, "{words} {signal}")?;
                if let Some(name) = signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                f.write_str(if core { ", core dumped" } else { "" })
            }
            Self::SpawnFailed { errno } => {
                let error = std::io::Error::from_raw_os_error(errno).to_string();
                let error = error.split(" (os error").next().unwrap_or_default();
                write!(f, "{words}: {error}")
            }
            _ => f.write_str(words),
        }
    }
}

/// The name of a signal on Linux, without its `SIG`.
#[must_use]
pub const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        17 => "CHLD",
        18 => "CONT",
        19 => "STOP",
        20 => "TSTP",
        21 => "TTIN",
        22 => "TTOU",
        24 => "XCPU",
        25 => "XFSZ",
        28 => "WINCH",
        31 => "SYS",
        _ => return None,
    })
}

/// The number of a signal: `9`, `KILL`, `SIGKILL`, in any case.
#[must_use]
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=MAX_SIGNAL).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    (1..=31).find(|&number| signal_name(number) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_names_of_the_json() {
        for outcome in ALL {
            let json = serde_json::to_value(outcome).unwrap();
            let name = json.as_object().unwrap().keys().next().unwrap().clone();
            assert_eq!(name, outcome.row().name);
            assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), outcome);
        }
    }

    #[test]
    fn words_and_statuses() {
        let signaled = Outcome::Signaled {
            signal: 11,
            core: true,
        };
        assert_eq!(
            signaled.to_string(),
            "ended by signal 11 (SEGV), core dumped"
        );
        assert_eq!(signaled.exit_status(), 139);
        let missing = Outcome::SpawnFailed { errno: 2 };
        assert_eq!(
            missing.to_string(),
            "could not be started: No such file or directory"
        );
        assert_eq!(missing.exit_status(), 127);
        assert_eq!(Outcome::SpawnFailed { errno: 13 }.exit_status(), 126);
        assert_eq!(Outcome::Lost {}.exit_status(), 255);
        assert!(ALL.iter().filter(|outcome| outcome.is_success()).count() == 1);
    }

    #[test]
    fn signals_by_any_name() {
        for text in ["9", "KILL", "sigkill", "SIGKILL"] {
            assert_eq!(signal_number(text), Some(9));
        }
        assert_eq!(signal_number("0"), None);
        assert_eq!(signal_number("NOPE"), None);
    }
}
