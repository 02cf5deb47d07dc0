//! A process we started: the leader of its session, of its group, and of the tree that grows from it.
//!
//! Not the tree (`tree`) and not its end (`ending`). Invariant: until [`Process::reap`] the kernel keeps
//! its process id for it, dead or alive.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid};

use super::streams::Streams;
use super::{Pid, Pipe, Signal, Slave, Tree, orphans};

/// A running process, or its remains.
///
/// Its pipes are the caller's to take. Dropped unreaped, and not [left](Process::leave), its group is killed
/// and what is left of it becomes an orphan, for [`reap_orphans`](super::reap_orphans) to collect.
#[derive(Debug)]
pub struct Process {
    /// Writes to its descriptor 0, with [`Stdin::Pipe`](super::Stdin::Pipe).
    pub stdin: Option<Pipe>,
    /// Reads its descriptor 1.
    pub stdout: Option<Pipe>,
    /// Reads its descriptor 2.
    pub stderr: Option<Pipe>,
    /// Holds its terminal open, if it has one: until this is dropped, `stdout` does not end.
    pub slave: Option<Slave>,
    tree: Tree,
    pidfd: OwnedFd,
    reaped: Option<Exit>,
    left: bool,
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
    pub(super) fn new(tree: Tree, pidfd: OwnedFd, streams: Streams) -> Self {
        let Streams {
            stdin,
            stdout,
            stderr,
            slave,
        } = streams;
        Self {
            stdin,
            stdout,
            stderr,
            slave,
            tree,
            pidfd,
            reaped: None,
            left: false,
        }
    }

    /// Its process id, which is its session's and its group's as well.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.tree.leader()
    }

    /// Becomes readable when the leader has ended (register with `mio::unix::SourceFd`), and stays so.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
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
    /// As `kill(2)`: `EPERM` if every member has changed its user, `ESRCH` if the leader has been reaped.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.reaped.is_some() {
            return Err(Errno::SRCH.into());
        }
        Ok(kill_process_group(self.pid(), signal)?)
    }

    /// How the leader ended, if it has. Leaves it a zombie, so that its id stays taken.
    ///
    /// # Errors
    /// As `waitid(2)`: `ECHILD` if this program was started with SIGCHLD ignored, so that nobody can know.
    pub fn exited(&self) -> io::Result<Option<Exit>> {
        match self.reaped {
            Some(exit) => Ok(Some(exit)),
            None => wait(self.pid(), WaitIdOptions::NOWAIT),
        }
    }

    /// Collects the leader if it has ended: its process id may then be used again. Again harmless.
    ///
    /// # Errors
    /// As [`Process::exited`].
    pub fn reap(&mut self) -> io::Result<Option<Exit>> {
        if self.reaped.is_none() {
            let leader = self.pid();
            // Under the lock, or a process of the same id, started by another thread at this moment,
            // would be struck off the list instead.
            let mut leaders = orphans::leaders();
            self.reaped = wait(leader, WaitIdOptions::empty())?;
            if self.reaped.is_some() {
                leaders.remove(leader);
            }
        }
        Ok(self.reaped)
    }

    /// Lets go of it: it goes on by itself, and its remains are an orphan's.
    pub fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.reaped.is_none() {
            let leader = self.pid();
            if !self.left {
                let _ = kill_process_group(leader, Signal::KILL);
            }
            orphans::leaders().remove(leader);
        }
    }
}

fn wait(leader: Pid, also: WaitIdOptions) -> io::Result<Option<Exit>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | also;
    Ok(waitid(WaitId::Pid(leader), options)?.map(|status| Exit::from_status(&status)))
}

impl Exit {
    fn from_status(status: &WaitIdStatus) -> Self {
        if let Some(signal) = status.terminating_signal() {
            let core = status.dumped();
            return Self::Signal { signal, core };
        }
        let code = status
            .exit_status()
            .expect("EXITED is all that is waited for");
        Self::Code(u8::try_from(code & 0xff).expect("masked"))
    }
}
