//! The error of a failed start: the step that failed, and the operating system's error number.

use std::fmt;
use std::io;

/// Reason why a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// What was being done.
    pub stage: Stage,
    /// The operating system's error number, e.g. `ENOENT` for a program that is not there.
    pub errno: i32,
}

impl SpawnError {
    pub(super) fn of<E: Into<io::Error>>(stage: Stage) -> impl Fn(E) -> Self {
        move |error| Self {
            stage,
            errno: error.into().raw_os_error().unwrap_or(libc::EINVAL),
        }
    }
}

/// A step on the way to a running process, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Pipes, fork: our own resources.
    Prepare,
    /// Getting a terminal.
    Terminal,
    /// Limiting its resources.
    Limits,
    /// Becoming its user.
    User,
    /// Entering the working directory.
    Directory,
    /// Finding and executing the program.
    Execute,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Prepare => "cannot prepare a process",
            Stage::Terminal => "cannot open a terminal",
            Stage::Limits => "cannot limit its resources",
            Stage::User => "cannot become its user",
            Stage::Directory => "cannot enter the working directory",
            Stage::Execute => "cannot execute the program",
        };
        let error = io::Error::from_raw_os_error(self.errno);
        write!(f, "{what}: {error}")
    }
}

impl std::error::Error for SpawnError {}
