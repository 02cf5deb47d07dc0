//! Lookup of outcomes by exit status and by name, for `udpctl explain`.

use super::fate::Fate;
use super::outcome::{ALL, Outcome, StartStep};
use super::signal::MAX_SIGNAL;
use super::table::Row;

/// Outcome that an exit status with one target may stand for, and its row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The outcome, with the members that give the status.
    pub outcome: Outcome,
    /// Its row.
    pub row: Row,
}

/// Returns the outcomes with an exit status, the likeliest first. `exited` is always among them, and last: a
/// command may itself return any status.
#[must_use]
pub fn outcomes(number: u8) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = ALL
        .into_iter()
        .filter_map(|outcome| with_status(outcome, number))
        .map(|outcome| Candidate {
            outcome,
            row: outcome.row(),
        })
        .filter(|candidate| candidate.row.exit_status == number)
        .collect();
    found.sort_by_key(|candidate| matches!(candidate.outcome, Outcome::Exited { .. }));
    found
}

/// Returns the outcome with the members that may give an exit status.
fn with_status(outcome: Outcome, number: u8) -> Option<Outcome> {
    match outcome {
        Outcome::Exited { .. } => Some(Outcome::Exited { code: number }),
        Outcome::Signaled { .. } => {
            let signal = i32::from(number) - 128;
            (1..=MAX_SIGNAL)
                .contains(&signal)
                .then_some(Outcome::Signaled {
                    signal,
                    core: false,
                })
        }
        // "Permission denied" (13) stands for every error that is not "no such file" (2).
        Outcome::SpawnFailed { .. } => Some(Outcome::SpawnFailed {
            errno: if number == 127 { 2 } else { 13 },
            step: StartStep::Program,
        }),
        Outcome::TimedOut {}
        | Outcome::Canceled {}
        | Outcome::Denied {}
        | Outcome::Busy {}
        | Outcome::Conflict {}
        | Outcome::Expired {}
        | Outcome::Lost {}
        | Outcome::Unreachable {}
        | Outcome::Unknown {} => Some(outcome),
    }
}

/// Returns the outcome with a name, as in JSON, or with the words of messages; upper case, `-` in the place of `_`, and the
/// British spelling are accepted.
#[must_use]
pub fn named(name: &str) -> Option<Outcome> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ' '], "_");
    let name = match plain(name) {
        british if british == "cancelled" => "canceled".to_owned(),
        name => name,
    };
    let is_named = |outcome: &Outcome| {
        let row = outcome.row();
        row.name == name || plain(row.words) == name
    };
    ALL.into_iter().find(is_named)
}

/// Returns the names of classes of hosts that no outcome has.
pub fn classes() -> impl Iterator<Item = &'static str> {
    let names = Fate::ALL.into_iter().map(Fate::key);
    names.filter(|name| named(name).is_none())
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
    fn an_exit_status_names_every_outcome_that_has_it() {
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
    fn an_outcome_is_found_by_its_name() {
        for outcome in ALL {
            assert_eq!(named(outcome.row().name), Some(outcome));
            assert_eq!(named(outcome.row().words), Some(outcome));
        }
        assert_eq!(
            named("Spawn-Failed"),
            Some(Outcome::SpawnFailed {
                errno: 2,
                step: StartStep::Program,
            })
        );
        assert_eq!(named("Cancelled"), Some(Outcome::Canceled {}));
        assert_eq!(named("fine"), None);
    }
}
