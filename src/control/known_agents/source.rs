//! Sources of keys, for messages.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Source of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Line of a file, by number.
    Line(Arc<Path>, usize),
    /// Public key file of the own user's agent.
    SameUser(PathBuf),
}

impl Source {
    /// True if both are lines of one file.
    pub(super) fn is_in_file_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Line(path, _), Self::Line(other, _)) => path == other,
            (Self::SameUser(_), _) | (_, Self::SameUser(_)) => false,
        }
    }
}

/// `FILE:LINE`, or the file.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::SameUser(path) => write!(f, "{}", path.display()),
        }
    }
}
