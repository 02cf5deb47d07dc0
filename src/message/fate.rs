//! Class of a host in a run over several targets, and the exit status that it leads to.

use super::status;

/// Outcome class of one host, in listing order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    /// The command returned 0, or was left running as requested.
    Ok,
    /// The command returned another status, or could not be started.
    Failed,
    /// The command was ended before it was done.
    Stopped,
    /// The agent refused the command.
    Denied,
    /// The result is not known.
    Lost,
    /// The user left before the result was known.
    Left,
    /// The host did not answer.
    Unreachable,
    /// The run was stopped before it came to the host.
    Skipped,
}

impl Fate {
    /// All classes, in listing order.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Stopped,
        Self::Denied,
        Self::Lost,
        Self::Left,
        Self::Unreachable,
        Self::Skipped,
    ];

    /// Returns the name of the class in a summary line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Denied => "denied",
            Self::Lost => "lost",
            Self::Left => "lost (left)",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
        }
    }

    /// Returns the name of the class in a record for programs.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Ok
            | Self::Failed
            | Self::Stopped
            | Self::Denied
            | Self::Lost
            | Self::Unreachable
            | Self::Skipped => self.name(),
        }
    }

    /// Returns the class of a name, as in a summary line or a record.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_named = |class: &Self| class.name() == name || class.key() == name;
        Self::ALL.into_iter().find(is_named)
    }

    /// Returns a sentence about the hosts of the class.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "The command returned 0, or was left running as requested.",
            Self::Failed => "The command returned another status, or could not be started.",
            Self::Stopped => "The command was ended before it was done.",
            Self::Denied => "The agent refused the command.",
            Self::Lost => "The result is not known.",
            Self::Left => "The user left before the result was known.",
            Self::Unreachable => "The host did not answer.",
            Self::Skipped => "The run was stopped before it came to the host.",
        }
    }

    /// Returns the exit status of a run over several targets in which this class is the gravest.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Ok => status::SUCCESS,
            Self::Failed => status::SOME_FAILED,
            Self::Stopped => status::SOME_STOPPED,
            Self::Denied | Self::Lost | Self::Left | Self::Unreachable => status::SOME_UNKNOWN,
            Self::Skipped => status::INTERRUPTED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_is_listed_later_is_as_grave_at_least() {
        let fates = Fate::ALL;
        assert!(fates.is_sorted());
        assert!(fates.is_sorted_by_key(|fate| status::severity(fate.exit_status()).unwrap()));
    }
}
