//! Table of outcomes: the one place that says what follows from an outcome.
//!
//! Error messages, the manual, `udpctl explain`, exit statuses, the summary of a run over several targets and
//! the states of the journal of requests are derived from these rows. [`Outcome::row`](super::Outcome::row) picks the
//! row and fills in what depends on members of the outcome; for several targets, [`Fate`] combines them.

use super::fate::Fate;
use super::status;

/// Certainty that a command ran.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ran {
    /// A process was started.
    Yes,
    /// No process was started.
    No,
    /// A process may have been started.
    Maybe,
}

impl Ran {
    /// Returns the closing sentence of an explanation; empty for [`Ran::Yes`], whose meaning says it already.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Yes => "",
            Self::No => "Nothing ran.",
            Self::Maybe => "The command may have run.",
        }
    }
}

/// Result that the agent holds for a controller that attaches later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Held {
    /// Output and exit status, until they are collected.
    Result,
    /// Nothing more than the outcome itself.
    Nothing,
    /// Not known: the outcome is not the agent's last word.
    Unknown,
}

/// Condition for a line on standard error that reports the outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reported {
    /// None: the line is always written.
    Always,
    /// The option `--verbose`: the exit status alone tells the outcome.
    Verbose,
}

/// Source of the exit status after a signal has interrupted a run with one target.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AfterSignal {
    /// The outcome: the interruption did not bring it about.
    Outcome,
    /// The signal: the interruption brought the outcome about.
    Signal,
}

/// Row of the table: all that follows from an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Name in JSON.
    pub name: &'static str,
    /// Description in a few words, for error messages.
    pub words: &'static str,
    /// Description in a sentence or two; [`Row::explanation`] adds whether the command ran.
    pub meaning: &'static str,
    /// Certainty that the command ran.
    pub ran: Ran,
    /// Result that the agent still holds.
    pub held: Held,
    /// Class in a run over several targets.
    pub fate: Fate,
    /// Exit status of `udpctl exec` with one target.
    pub exit_status: u8,
    /// The exit status in words.
    pub status: &'static str,
    /// Condition for a line on standard error.
    pub reported: Reported,
    /// Source of the exit status after a signal.
    pub after_signal: AfterSignal,
}

impl Row {
    /// Returns the meaning of the outcome, and a sentence on whether the command ran.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self.ran.sentence() {
            "" => self.meaning.to_owned(),
            sentence => format!("{} {sentence}", self.meaning),
        }
    }
}

/// Exit status of a program that does not exist, as in a shell.
pub(super) const NOT_FOUND: u8 = 127;

/// Exit status of a program that cannot be started, as in a shell.
const NOT_STARTED: u8 = 126;

/// Exit status of a command that timed out, as that of timeout(1).
const DEADLINE: u8 = 124;

pub(super) const EXITED: Row = Row {
    name: "exited",
    words: "exited",
    meaning: "The command ran and returned this status. If a process that it left behind still holds its output \
              open, a line on standard error says so, and output written later is not shown.",
    ran: Ran::Yes,
    held: Held::Result,
    fate: Fate::Ok,
    exit_status: status::SUCCESS,
    status: "the command's",
    reported: Reported::Verbose,
    after_signal: AfterSignal::Outcome,
};

pub(super) const SIGNALED: Row = Row {
    name: "signaled",
    words: "ended by signal",
    meaning: "The command ran and a signal ended it.",
    ran: Ran::Yes,
    held: Held::Result,
    fate: Fate::Stopped,
    exit_status: status::UDPCTL_FAILURE,
    status: "128 + the signal",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const SPAWN_FAILED: Row = Row {
    name: "spawn_failed",
    words: "could not be started",
    meaning: "The agent could not start the program.",
    ran: Ran::No,
    held: Held::Nothing,
    fate: Fate::Failed,
    exit_status: NOT_STARTED,
    status: "127 when there is no such program, else 126",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const TIMED_OUT: Row = Row {
    name: "timed_out",
    words: "timed out",
    meaning: "The time given with --timeout passed, or that which the agent gives every command, and the agent \
              ended the command.",
    ran: Ran::Yes,
    held: Held::Result,
    fate: Fate::Stopped,
    exit_status: DEADLINE,
    status: "124",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const CANCELED: Row = Row {
    name: "canceled",
    words: "canceled",
    meaning: "The agent ended the command: on request, because its controller was silent for longer than the \
              lease, because it wrote more than the agent lets it, because its key was removed, or because the \
              agent was shut down. Or udpctl was interrupted before it had sent the command.",
    ran: Ran::Maybe,
    held: Held::Result,
    fate: Fate::Stopped,
    exit_status: status::UDPCTL_FAILURE,
    status: "255; 130 after Ctrl-C",
    reported: Reported::Always,
    after_signal: AfterSignal::Signal,
};

pub(super) const DENIED: Row = Row {
    name: "denied",
    words: "denied",
    meaning: "The agent does not let this key run the command. What the key may not ask for, whatever the command, is \
              named: a terminal (-t), a script, a user, variables or a directory. The agent's log has every reason.",
    ran: Ran::No,
    held: Held::Nothing,
    fate: Fate::Denied,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const BUSY: Row = Row {
    name: "busy",
    words: "busy",
    meaning: "The agent runs as many commands as it may.",
    ran: Ran::No,
    held: Held::Nothing,
    fate: Fate::Denied,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const CONFLICT: Row = Row {
    name: "conflict",
    words: "the request id is in use for another request",
    meaning: "The id given with --id belongs to another command.",
    ran: Ran::No,
    held: Held::Nothing,
    fate: Fate::Denied,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const EXPIRED: Row = Row {
    name: "expired",
    words: "already collected, or older than the agent remembers",
    meaning: "The agent has forgotten the request: its result was collected or was kept for too long, or the request is \
              older than what the agent remembers.",
    ran: Ran::Maybe,
    held: Held::Nothing,
    fate: Fate::Lost,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const LOST: Row = Row {
    name: "lost",
    words: "lost: accepted, but its result is not known",
    meaning: "The agent had accepted the command and then did not answer, or it ended and left the command \
              running, or was killed and does not know how the command has ended, or another controller has attached \
              to the command. If the line says \"sent\" instead of \"accepted\", the session has ended before the agent \
              accepted the command.",
    ran: Ran::Maybe,
    held: Held::Unknown,
    fate: Fate::Lost,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};

pub(super) const UNREACHABLE: Row = Row {
    name: "unreachable",
    words: "no answer",
    meaning: "No answer came at all: wrong address, no agent, a firewall, a key that the agent does not know, or \
              another key of the agent than the one in known_agents, because agents are silent to strangers. Most \
              likely the request never arrived, but perhaps only the answers were lost.",
    ran: Ran::Maybe,
    held: Held::Unknown,
    fate: Fate::Unreachable,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Signal,
};

pub(super) const UNKNOWN: Row = Row {
    name: "unknown",
    words: "the agent does not know the request",
    meaning: "The agent has restarted since the command was sent to it, or was started after the request was made.",
    ran: Ran::Maybe,
    held: Held::Nothing,
    fate: Fate::Lost,
    exit_status: status::UDPCTL_FAILURE,
    status: "255",
    reported: Reported::Always,
    after_signal: AfterSignal::Outcome,
};
