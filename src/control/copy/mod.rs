//! `udpctl cp`: the controller's sides of copies to or from several hosts, on one thread.
//!
//! The thread reads and writes all files and is the other side of a run's [`Exchange`]. Not the protocol, which is that of
//! [`copy`](crate::copy), nor sessions. Invariants: a file that several hosts need at about the same time is read and hashed
//! once; a host is given input only when it wants some, so that the slowest does not hold up the others.

mod host_copy;
mod totals;
mod worker;

use std::path::PathBuf;

pub use self::worker::CopyThread;
use crate::control::exec::Exchange;
use crate::copy::{Counts, Requested, Scope, Sources};

/// Side of the controller in a copy.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Sends files to every host.
    Send {
        /// Files and directories of this machine.
        paths: Vec<PathBuf>,
        /// True if directories are sent.
        recursive: bool,
    },
    /// Receives files of every host.
    Receive {
        /// Destination of each task.
        destinations: Vec<ReceiveTo>,
        /// True if permissions and times of change are those of the source.
        preserve: bool,
        /// Items that the hosts may send.
        requested: Requested,
    },
}

impl Plan {
    /// Returns the items that every host gets; `None` if the hosts send.
    fn sources(&self) -> Option<Sources> {
        match self {
            Self::Send { paths, recursive } => Some(Sources {
                paths: paths.clone(),
                scope: Scope::Everywhere,
                recursive: *recursive,
            }),
            Self::Receive { .. } => None,
        }
    }
}

/// Destination of the files of a host.
#[derive(Clone, Debug)]
pub struct ReceiveTo {
    /// Directory, or new name of the only item.
    pub path: PathBuf,
    /// True if it has to be a directory that is there.
    pub is_directory: bool,
}

/// Choices of a copy.
#[derive(Clone, Debug)]
pub struct CopyConfig {
    /// Side of this machine.
    pub plan: Plan,
    /// Number of hosts.
    pub hosts: usize,
    /// True if the amount is shown to a person, so that it is counted.
    pub is_watched: bool,
    /// True if failed items are kept by name for the results.
    pub is_listed: bool,
}

/// Result of the copy to or from a host.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HostResult {
    /// True if every item was copied, by the word of both sides.
    pub is_complete: bool,
    /// Counts of the items that were written.
    pub counts: Counts,
    /// Number of items that were not copied, as far as it is known.
    pub failures: u64,
    /// Those of them that are kept by name, with [`CopyConfig::is_listed`].
    pub failed: Vec<FailedItem>,
}

/// Item that was not copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedItem {
    /// Its path on the side where the fault is.
    pub path: Vec<u8>,
    /// True if that is this machine.
    pub is_here: bool,
    /// The reason, in words.
    pub words: String,
}

/// Starts the thread.
///
/// # Errors
/// If the system has no thread to give.
pub fn start(config: CopyConfig) -> std::io::Result<(Exchange, CopyThread)> {
    worker::start(config)
}
