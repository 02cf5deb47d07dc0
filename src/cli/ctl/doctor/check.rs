//! Result of one check.
//!
//! Not the line that shows it. Invariant: a check that has failed names what to do next where that is known.

/// Result of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Ok,
    /// Not known to be right.
    Warn,
    Fail,
    /// Not checked, because an earlier check has failed.
    Skip,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// A check that was made.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    /// Advice to the user.
    pub(super) next: Option<String>,
}

/// Returns a check without advice.
pub(super) fn check(name: &'static str, state: State, found: impl Into<String>) -> Check {
    Check {
        name,
        state,
        found: found.into(),
        next: None,
    }
}

impl Check {
    /// Adds advice.
    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}
