//! Reason why an agent cannot start.
//!
//! Invariant: its text says what to do where that is known.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Error of a start.
#[derive(Debug)]
pub enum StartError {
    /// None of its addresses could be bound.
    Bind(io::Error),
    /// The file of answered INITs cannot be used.
    ReplayLog(PathBuf, io::Error),
    /// The system provides no descriptor, thread or random number.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen: {error}; another udpagent may run (\"udpagent status\", \"ss -lunp\"), or choose another port \
                 with --bind"
            ),
            Self::Bind(error) => write!(f, "cannot listen: {error}"),
            Self::ReplayLog(path, error) => write!(f, "{}: {error}", path.display()),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

// The text contains that of the cause, so there is no `source`.
impl std::error::Error for StartError {}
