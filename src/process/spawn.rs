//! From a `Spec` to a running `Process`, or the exact reason why not.
//!
//! Not what happens between clone and exec: that is `child`. Invariant: when it fails, nothing has run,
//! and no process and no descriptor is left of the attempt.

use std::fmt;
use std::io;

use super::image::Image;
use super::orphans::SpawnUnderWay;
use super::{Process, Spec, Tree, child, orphans, streams};

/// Starts a process: in a session and process group of its own, with the environment given and no other,
/// with descriptors 0, 1 and 2 and no others, with default signal dispositions and an empty mask, with umask
/// 022 and an OOM score adjustment of 0.
///
/// May be called from any thread; returns when `exec` has happened, so a file system that hangs blocks it.
/// The thread may end: nothing ties the process to it (which is why `PR_SET_PDEATHSIG` is not used).
///
/// # Errors
/// The step that failed and its error number, as `execve(2)` and its kin have it.
pub fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    let image = Image::new(spec)?;
    let (ours, theirs) = streams::open(spec)?;
    // Everything that can fail for want of something of ours has been done: from here on it is the
    // child's turn, and either it fails before it has executed anything or it runs.
    let under_way = SpawnUnderWay::begin();
    let born = child::launch(&image, &theirs)?;
    orphans::leaders().insert(born.pid);
    drop(under_way);
    Ok(Process::new(Tree::new(born.pid, spec), born.pidfd, ours))
}

/// Why a process could not be started.
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
