//! The error of a failed start: the step that failed, and the operating system's error number.

use std::fmt;
use std::io;

/// Reason why a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// Step that failed.
    pub stage: Stage,
    /// Error number, such as `ENOENT` for a program that does not exist.
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

/// Steps of starting a process, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Allocating the agent's own resources: pipes, the child.
    Prepare,
    /// Opening a terminal.
    Terminal,
    /// Setting its resource limits.
    Limits,
    /// Changing to its user.
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
