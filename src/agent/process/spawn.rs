//! From a `Spec` to a running `Process`, or the exact reason why not.
//!
//! Not what happens between fork and exec: that is `child`. Invariant: when it fails, nothing has run,
//! and no process and no descriptor is left of the attempt.

use std::fmt;

use super::{Process, Spec};

/// Starts a process: in a session and process group of its own, with the environment given and no other,
/// with descriptors 0, 1 and 2 and no others, with default signal dispositions and an empty mask.
///
/// May be called from any thread; returns when `exec` has happened, so it should be called where a hung
/// file system may block.
///
/// # Errors
/// The step that failed and its error number, as `execve(2)` and its kin have it.
pub fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    let _ = spec;
    todo!()
}

/// Why a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// What was being done.
    pub stage: Stage,
    /// The operating system's error number, e.g. `ENOENT` for a program that is not there.
    pub errno: i32,
}

/// A step on the way to a running process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Pipes, fork: our own resources.
    Prepare,
    /// Entering the working directory.
    Directory,
    /// Finding and executing the program.
    Execute,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Prepare => "cannot prepare a process",
            Stage::Directory => "cannot enter the working directory",
            Stage::Execute => "cannot execute the program",
        };
        let error = std::io::Error::from_raw_os_error(self.errno);
        write!(f, "{what}: {error}")
    }
}

impl std::error::Error for SpawnError {}
