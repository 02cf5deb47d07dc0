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

/// `FILE:LINE`, or the file.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::SameUser(path) => write!(f, "{}", path.display()),
        }
    }
}
