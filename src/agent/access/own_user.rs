//! Admission of the controller of the agent's own user, which needs no line.
//!
//! Invariant: as soon as a line might exist that restricts its key and cannot be read, it is not admitted.

use std::fmt;
use std::path::PathBuf;

/// State of the admission of the own user's controller without a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnUser {
    /// It is admitted.
    Admitted,
    /// It has no key that could be admitted.
    NoKey,
    /// The file of its public key cannot be used.
    KeyUnusable(PathBuf),
    /// A line is about its key: the line decides.
    Listed,
    /// `authorized_keys` is there and cannot be used.
    KeysUnusable(PathBuf),
    /// The key of a line with an error cannot be recognised, and might be its key.
    UnknownKey(PathBuf, usize),
}

impl fmt::Display for OwnUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted => f.write_str("admitted without a line"),
            Self::NoKey => f.write_str("not admitted without a line: it has no key"),
            Self::KeyUnusable(path) => {
                write!(f, "not admitted: {} cannot be used", path.display())
            }
            Self::Listed => f.write_str("admitted as the line of its key says"),
            Self::KeysUnusable(path) => write!(
                f,
                "not admitted until {} can be used: it may restrict this key",
                path.display()
            ),
            Self::UnknownKey(path, line) => write!(
                f,
                "not admitted until {}:{line} is corrected: it may be the line of this key",
                path.display()
            ),
        }
    }
}
