//! Errors in the files of a policy, for the log and for `udpagent check`.

use std::fmt;
use std::path::PathBuf;

use super::file_content::FileFault;
use super::{LineError, OwnUser};

/// An error in the files, or its consequence. The file or line admits no key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A whole file cannot be used.
    File(FileFault),
    /// A line has an error.
    Line {
        /// The file.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
        /// The error, with the remedy.
        error: LineError,
    },
    /// `authorized_keys` admits no key at all because of an error.
    AdmitsNobody(PathBuf),
    /// The own user's controller is not admitted because of an error.
    OwnUser(OwnUser),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(fault) => f.write_str(&fault.words),
            Self::Line { path, line, error } => write!(f, "{}:{line}: {error}", path.display()),
            Self::AdmitsNobody(path) => {
                write!(f, "{}: no key of this file is admitted", path.display())
            }
            Self::OwnUser(state) => write!(f, "this user's own controller is {state}"),
        }
    }
}

impl std::error::Error for Problem {}
