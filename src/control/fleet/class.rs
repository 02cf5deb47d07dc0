//! Classes of hosts that a user selects by: each stands for some classes of outcomes.

use serde::{Deserialize, Serialize};

use crate::message::Fate;

/// Class of a host after a run, in words for a file name and an option.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The command returned 0.
    Ok,
    /// The command failed, was ended or refused, or its result is not known.
    Failed,
    /// The host did not answer.
    Unreachable,
    /// The command was not begun there.
    Skipped,
}

impl Class {
    /// All classes, in the order of a summary.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Failed, Self::Unreachable, Self::Skipped];

    /// Returns the class that a class of outcomes belongs to.
    #[must_use]
    pub const fn of(fate: Fate) -> Self {
        match fate {
            Fate::Ok => Self::Ok,
            Fate::Failed | Fate::Stopped | Fate::Denied | Fate::Lost | Fate::Left => Self::Failed,
            Fate::Unreachable => Self::Unreachable,
            Fate::Skipped => Self::Skipped,
        }
    }

    /// Returns the class of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
        }
    }
}
