//! The error of a failed start: the step that failed, and its cause.

use std::fmt;
use std::io;

use rustix::io::Errno;

use super::AccountError;

/// Reason why a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// Step that failed.
    pub stage: Stage,
    /// Cause of the failure.
    pub cause: Cause,
}

/// Cause of a failed step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A system call failed with this error number, such as `ENOENT` for a program that does not exist.
    System(i32),
    /// Nothing can run as the user.
    Account(AccountError),
    /// The child was ended before it executed its program.
    Ended,
}

impl SpawnError {
    pub(super) fn of<E: Into<io::Error>>(stage: Stage) -> impl Fn(E) -> Self {
        move |error| Self {
            stage,
            cause: Cause::System(error.into().raw_os_error().unwrap_or(libc::EINVAL)),
        }
    }

    /// As [`SpawnError::of`]. Allocates nothing and drops nothing, for the child.
    pub(super) fn of_errno(stage: Stage) -> impl Fn(Errno) -> Self + Copy {
        move |errno| Self {
            stage,
            cause: Cause::System(errno.raw_os_error()),
        }
    }

    /// Returns the error number of the system call; for other causes, the nearest one.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self.cause {
            Cause::System(errno) => errno,
            Cause::Account(_) => libc::EPERM,
            Cause::Ended => libc::ECHILD,
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
    /// Looking up its user, and changing to it.
    User,
    /// Setting its resource limits.
    Limits,
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
            Stage::User => "cannot become its user",
            Stage::Limits => "cannot limit its resources",
            Stage::Directory => "cannot enter the working directory",
            Stage::Execute => "cannot execute the program",
        };
        match self.cause {
            Cause::System(errno) => write!(f, "{what}: {}", io::Error::from_raw_os_error(errno)),
            Cause::Account(error) => write!(f, "{what}: {error}"),
            Cause::Ended => write!(f, "{what}: it was ended before"),
        }
    }
}

impl std::error::Error for SpawnError {}
