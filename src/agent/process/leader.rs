//! A process we started: the leader of its session, of its group, and of the tree that grows from it.
//!
//! Not the tree (`tree`) and not its end (`ending`). Invariant: until [`Process::reap`] the kernel keeps
//! its process id for it, dead or alive.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{Pid, Pipe, Signal, Tree};

/// A running process, or its remains.
///
/// Its pipes are the caller's to take. Dropped unreaped, its group is killed and what is left of it
/// becomes an orphan, for [`reap_orphans`](super::reap_orphans) to collect.
#[derive(Debug)]
pub struct Process {
    /// Writes to its descriptor 0, with [`Stdin::Pipe`](super::Stdin::Pipe).
    pub stdin: Option<Pipe>,
    /// Reads its descriptor 1.
    pub stdout: Option<Pipe>,
    /// Reads its descriptor 2.
    pub stderr: Option<Pipe>,
    tree: Tree,
    pidfd: OwnedFd,
}

/// How a leader ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It returned.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// It left a core dump.
        core: bool,
    },
}

impl Process {
    /// Its process id, which is its session's and its group's as well.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.tree.leader()
    }

    /// Becomes readable when the leader has ended (register with `mio::unix::SourceFd`).
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.pidfd.as_fd()
    }

    /// Everything that descends from it.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// As `kill(2)`: `EPERM` if every member has changed its user.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let _ = signal;
        todo!()
    }

    /// How the leader ended, if it has. Leaves it a zombie, so that its id stays taken.
    ///
    /// # Errors
    /// As `waitid(2)`; none is expected while the process is unreaped.
    pub fn exited(&self) -> io::Result<Option<Exit>> {
        todo!()
    }

    /// Collects the leader: its process id may now be used again. `None` (and nothing is done but to let it
    /// go) if it is still running.
    ///
    /// # Errors
    /// As `waitid(2)`.
    pub fn reap(self) -> io::Result<Option<Exit>> {
        todo!()
    }
}
