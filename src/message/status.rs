//! Exit statuses of both programs, and the descriptions that the manual and `udpctl explain` print.
//!
//! Not the statuses of single outcomes: those are in the table of [`outcome`](super::outcome).

/// Every command of several returned 0.
pub const SUCCESS: u8 = 0;
/// A failure of `udpctl` itself in a run over several targets; an agent that cannot start.
pub const INTERNAL: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// A command of several was ended before it was done.
pub const SOME_STOPPED: u8 = 3;
/// A command of several was refused, or its result is not known.
pub const SOME_UNKNOWN: u8 = 4;
/// A command of several returned another status than 0, or could not be started.
pub const SOME_FAILED: u8 = 5;
/// A limit stopped the run.
pub const LIMITED: u8 = 6;
/// Status that a shell shows for SIGINT.
pub const INTERRUPTED: u8 = 128 + 2;
/// Status that a shell shows for SIGHUP.
pub const HUNG_UP: u8 = 128 + 1;
/// Status that a shell shows for SIGTERM.
pub const TERMINATED: u8 = 128 + 15;
/// Status that a shell shows for SIGPIPE.
pub const BROKEN_PIPE: u8 = 128 + 13;
/// A failure that is not the command's, with one target.
pub const UDPCTL_FAILURE: u8 = 255;

/// A thread of `udpagent` failed: `EX_SOFTWARE` of sysexits.h.
pub const AGENT_FAILURE: u8 = 70;

/// Runs that a status belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// `exec` with one target, `attach`, `wait`.
    One,
    /// `exec` with several targets.
    Several,
    /// `udpagent`.
    Agent,
}

/// Exit status with its description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// The number, 0 to 255.
    pub number: u8,
    /// The runs that it belongs to.
    pub scope: Scope,
    /// Description in a sentence or two.
    pub meaning: &'static str,
}

const fn one(number: u8, meaning: &'static str) -> Status {
    Status {
        number,
        scope: Scope::One,
        meaning,
    }
}

const fn several(number: u8, meaning: &'static str) -> Status {
    Status {
        number,
        scope: Scope::Several,
        meaning,
    }
}

const fn agent(number: u8, meaning: &'static str) -> Status {
    Status {
        number,
        scope: Scope::Agent,
        meaning,
    }
}

/// All statuses; those of several targets in order of [`severity`].
pub const STATUSES: [Status; 22] = [
    one(
        USAGE,
        "The command line cannot be understood. Nothing was sent.",
    ),
    one(
        INTERRUPTED,
        "Interrupted: the command was canceled or left after Ctrl-C.",
    ),
    one(
        HUNG_UP,
        "Interrupted: the command was canceled or left after SIGHUP, when the terminal had gone.",
    ),
    one(
        TERMINATED,
        "Interrupted: the command was canceled or left after SIGTERM.",
    ),
    one(
        BROKEN_PIPE,
        "The reader of standard output has closed it, and the command was ended.",
    ),
    one(
        UDPCTL_FAILURE,
        "Something failed here, such as writing the output, or a key is not known, or the user left a terminal by ~. and \
         the command may go on; standard error says what.",
    ),
    several(SUCCESS, "Every command returned 0."),
    several(
        SOME_FAILED,
        "A command returned something else or could not be started.",
    ),
    several(
        SOME_STOPPED,
        "A command timed out, was ended by a signal, or was canceled.",
    ),
    several(
        SOME_UNKNOWN,
        "A host was unreachable, refused the command, or the result is not known.",
    ),
    several(
        LIMITED,
        "A rule stopped the run: a canary, a number of errors, or the first failure.",
    ),
    several(INTERRUPTED, "Interrupted by Ctrl-C."),
    several(HUNG_UP, "Interrupted by SIGHUP: the terminal has gone."),
    several(TERMINATED, "Interrupted by SIGTERM."),
    several(
        BROKEN_PIPE,
        "The reader of standard output has closed it, and the commands were ended.",
    ),
    several(
        INTERNAL,
        "Something failed here, such as creating a file or writing the output.",
    ),
    several(
        USAGE,
        "The command line cannot be understood. Nothing was sent.",
    ),
    agent(
        SUCCESS,
        "The agent was ended by a signal, by \"quit\", or by the end of input at its terminal.",
    ),
    agent(
        INTERNAL,
        "The agent could not start, a file is missing or invalid, or \"udpagent check\" answers no.",
    ),
    agent(USAGE, "The command line is invalid."),
    agent(
        AGENT_FAILURE,
        "A thread of the agent failed: a bug in the agent, or the loss of every socket. A line on standard \
         error names the thread and the reason. The agent exits at once, without ending its jobs.",
    ),
    agent(
        BROKEN_PIPE,
        "The reader of the standard output of a subcommand has closed it.",
    ),
];

/// Returns the rank of a status among those of several targets: the higher one decides for the run. A result
/// that is not known ranks above a command that failed.
#[must_use]
pub fn severity(number: u8) -> Option<usize> {
    STATUSES
        .iter()
        .filter(|status| status.scope == Scope::Several)
        .position(|status| status.number == number)
}

/// Returns the exit status of `udpctl` after a signal.
#[must_use]
pub fn interrupted(signal: i32) -> u8 {
    u8::try_from(signal).map_or(INTERRUPTED, |signal| 128 | signal)
}
