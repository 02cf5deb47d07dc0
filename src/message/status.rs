//! Exit statuses of `udpctl` that are not the outcome of one command: the rest of the table that
//! messages, man page and `udpctl explain` print from.
//!
//! Not the statuses of outcomes, which [`Outcome`] has.

use super::Outcome;
use super::outcome::{self, ALL, Row};

/// Every command of several returned 0.
pub const SUCCESS: u8 = 0;
/// Something failed here.
pub const INTERNAL: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// A command of several was ended before it was done.
pub const SOME_STOPPED: u8 = 3;
/// What became of a command of several is not known, or it was refused.
pub const SOME_UNKNOWN: u8 = 4;
/// A command of several returned something else than 0, or could not be started.
pub const SOME_FAILED: u8 = 5;
/// A limit stopped the run.
pub const LIMITED: u8 = 6;
/// What a shell shows for SIGINT.
pub const INTERRUPTED: u8 = 128 + 2;
/// The same for SIGHUP.
pub const HUNG_UP: u8 = 128 + 1;
/// The same for SIGTERM.
pub const TERMINATED: u8 = 128 + 15;
/// What a shell shows for SIGPIPE.
pub const BROKEN_PIPE: u8 = 128 + 13;
/// Everything that is ours and not the command's.
pub const OURS: u8 = 255;

/// Which runs a status is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// `exec` with one target, `attach`, `wait`.
    One,
    /// `exec` with several.
    Several,
}

/// A status and what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// The number.
    pub number: u8,
    /// Of which runs.
    pub scope: Scope,
    /// What that means, in a sentence or two.
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

/// All of them; those of several targets from the best to the gravest.
pub const STATUSES: [Status; 16] = [
    one(
        USAGE,
        "The command line cannot be understood. Nothing was sent.",
    ),
    one(
        INTERRUPTED,
        "Interrupted: the command was canceled or left after Ctrl-C.",
    ),
    one(HUNG_UP, "The same after SIGHUP: the terminal has gone."),
    one(TERMINATED, "The same after SIGTERM."),
    one(
        BROKEN_PIPE,
        "The reader of standard output has left, and the command was ended.",
    ),
    one(
        OURS,
        "Something failed here, such as writing the output, or a key is not known; standard error says what.",
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
        "Reserved: a limit stopped the run. This version has no such limit.",
    ),
    several(INTERRUPTED, "Interrupted."),
    several(HUNG_UP, "The same by SIGHUP."),
    several(TERMINATED, "The same by SIGTERM."),
    several(
        INTERNAL,
        "Something failed here, such as writing the output.",
    ),
    several(
        USAGE,
        "The command line cannot be understood. Nothing was sent.",
    ),
];

/// What `udpctl` exits with after this signal.
#[must_use]
pub fn interrupted(signal: i32) -> u8 {
    u8::try_from(signal).map_or(INTERRUPTED, |signal| 128 | signal)
}

/// An outcome that a status with one target may stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Which.
    pub outcome: Outcome,
    /// What is said about it.
    pub row: Row,
}

/// The outcomes that exit with a status, the likeliest first: a command may itself return any number.
#[must_use]
pub fn outcomes(number: u8) -> Vec<Candidate> {
    let signal = i32::from(number) - 128;
    let of_number = [
        Outcome::Signaled {
            signal,
            core: false,
        },
        // "Permission denied" stands for all that is not "no such file".
        Outcome::SpawnFailed {
            errno: if number == 127 { 2 } else { 13 },
        },
    ];
    let fixed = ALL.into_iter().filter(|outcome| {
        !matches!(
            outcome,
            Outcome::Exited { .. } | Outcome::Signaled { .. } | Outcome::SpawnFailed { .. }
        )
    });
    of_number
        .into_iter()
        .filter(|outcome| match outcome {
            Outcome::Signaled { signal, .. } => (1..=outcome::MAX_SIGNAL).contains(signal),
            _ => true,
        })
        .chain(fixed)
        .filter(|outcome| outcome.exit_status() == number)
        .chain([Outcome::Exited { code: number }])
        .map(|outcome| Candidate {
            outcome,
            row: outcome.row(),
        })
        .collect()
}

/// The outcome of a name, as its JSON has it; `-` does for `_`.
#[must_use]
pub fn named(name: &str) -> Option<Outcome> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    ALL.into_iter().find(|outcome| outcome.row().name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(number: u8) -> Vec<&'static str> {
        outcomes(number)
            .iter()
            .map(|candidate| candidate.row.name)
            .collect()
    }

    #[test]
    fn every_status_has_its_outcomes() {
        assert_eq!(names(0), ["exited"]);
        assert_eq!(names(124), ["timed_out", "exited"]);
        assert_eq!(names(126), ["spawn_failed", "exited"]);
        assert_eq!(names(127), ["spawn_failed", "exited"]);
        assert_eq!(names(137), ["signaled", "exited"]);
        assert_eq!(names(128), ["exited"]);
        assert_eq!(names(193), ["exited"]);
        assert_eq!(names(255).len(), 9);
        for outcome in ALL {
            let found = outcomes(outcome.exit_status());
            assert!(found.iter().any(|candidate| candidate.row == outcome.row()));
        }
    }

    #[test]
    fn every_outcome_has_its_name() {
        for outcome in ALL {
            assert_eq!(named(outcome.row().name), Some(outcome));
        }
        assert_eq!(
            named("Spawn-Failed"),
            Some(Outcome::SpawnFailed { errno: 2 })
        );
        assert_eq!(named("fine"), None);
    }
}
