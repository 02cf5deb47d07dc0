//! A started process: the leader of its session, of its process group, and of the tree of its descendants.
//!
//! Not the tree (`tree`) and not its termination (`ending`). Invariant: until [`Process::reap`] the kernel
//! does not reuse its process id.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_send_signal, waitid,
};

use super::child::Memory;
use super::child::exit_info::wait_status;
use super::streams::Streams;
use super::{Pid, Pipe, Signal, Slave, Tree, orphans};

/// A running process, or a zombie.
///
/// The caller takes the pipes. Dropping it without [`reap`](Process::reap) or [`detach`](Process::detach) kills its
/// process group; the process is then reaped by [`reap_orphans`](super::reap_orphans).
#[derive(Debug)]
pub struct Process {
    /// Pipe to its descriptor 0, with [`Stdin::Pipe`](super::Stdin::Pipe).
    pub stdin: Option<Pipe>,
    /// Pipe from its descriptor 1.
    pub stdout: Option<Pipe>,
    /// Pipe from its descriptor 2.
    pub stderr: Option<Pipe>,
    /// Open slave of its terminal, if it has one. Until it is dropped, `stdout` does not end.
    pub slave: Option<Slave>,
    tree: Tree,
    pidfd: OwnedFd,
    /// Memory that it uses until it has executed its program.
    memory: Option<Memory>,
    reaped: Option<Exit>,
    /// False if another process has started it and has ended since: another parent reaps it.
    is_child: bool,
    detached: bool,
}

/// Exit status of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It exited with this code.
    Code(u8),
    /// A signal terminated it.
    Signal {
        /// Number of the signal.
        signal: i32,
        /// True if it dumped core.
        core: bool,
    },
    /// It has ended, and the system does not tell how.
    Unknown,
}

impl Process {
    pub(super) fn new(
        tree: Tree,
        pidfd: OwnedFd,
        memory: Option<Memory>,
        streams: Streams,
    ) -> Self {
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
            memory,
            reaped: None,
            is_child: true,
            detached: false,
        }
    }

    /// Takes a process that this program has started before it was executed anew, without its pipes. It is a child of
    /// this program and was not reaped.
    #[must_use]
    pub fn adopt(tree: Tree, pidfd: OwnedFd) -> Self {
        orphans::leaders().insert(tree.leader());
        let streams = Streams {
            stdin: None,
            stdout: None,
            stderr: None,
            slave: None,
        };
        Self::new(tree, pidfd, None, streams)
    }

    /// Takes a process that a program which has died has started, without its pipes. It is no child of this program.
    #[must_use]
    pub fn adopt_orphan(tree: Tree, pidfd: OwnedFd) -> Self {
        let mut process = Self::adopt(tree, pidfd);
        orphans::leaders().remove(process.pid());
        process.is_child = false;
        process
    }

    /// True if it is a child of this program, which reaps it.
    #[must_use]
    pub const fn is_child(&self) -> bool {
        self.is_child
    }

    /// Frees the memory that it used before exec. Call it when its report pipe is at its end.
    pub(super) fn has_left_memory(&mut self) {
        if let Some(memory) = self.memory.take() {
            memory.free();
        }
    }

    /// Returns its process id, which is also the id of its session and process group.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.tree.leader()
    }

    /// Returns a descriptor that becomes and stays readable when the leader has ended. Register it with
    /// `mio::unix::SourceFd`.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Returns the tree of the leader and its descendants.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// True if it was reaped, so that its process id may be in use again.
    #[must_use]
    pub fn is_reaped(&self) -> bool {
        let is_gone = || matches!(self.orphan_exited(), Ok(Some(_)));
        self.reaped.is_some() || !self.is_child && is_gone()
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// Those of `kill(2)`: `EPERM` if every member has changed its user, `ESRCH` if the leader was reaped.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.is_reaped() {
            return Err(Errno::SRCH.into());
        }
        match kill_process_group(self.pid(), signal) {
            // The child has not founded its session yet.
            Err(Errno::SRCH) => Ok(pidfd_send_signal(&self.pidfd, signal)?),
            sent => Ok(sent?),
        }
    }

    /// Returns the exit status of the leader if it has ended. It remains a zombie, so its id is not reused.
    ///
    /// # Errors
    /// Those of `waitid(2)`: `ECHILD` if this program was started with SIGCHLD ignored, which discards statuses.
    pub fn exited(&self) -> io::Result<Option<Exit>> {
        match self.reaped {
            Some(exit) => Ok(Some(exit)),
            None if !self.is_child => self.orphan_exited(),
            None => wait(self.pid(), WaitIdOptions::NOWAIT),
        }
    }

    /// Reaps the leader if it has ended, so that its process id may be reused. Later calls return the same
    /// status.
    ///
    /// # Errors
    /// Those of [`Process::exited`].
    pub fn reap(&mut self) -> io::Result<Option<Exit>> {
        if !self.is_child {
            self.reaped = self.orphan_exited()?;
        } else if self.reaped.is_none() {
            let leader = self.pid();
            // The lock is held until the removal. Otherwise another thread could start a process with the
            // same id, whose entry would be removed instead.
            let mut leaders = orphans::leaders();
            self.reaped = wait(leader, WaitIdOptions::empty())?;
            if self.reaped.is_some() {
                leaders.remove(leader);
                drop(leaders);
                self.has_left_memory();
            }
        }
        Ok(self.reaped)
    }

    /// Returns the exit status of a process that is no child, once its parent has reaped it.
    fn orphan_exited(&self) -> io::Result<Option<Exit>> {
        let mut ready = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec::default()))?;
        let ready = ready[0].revents();
        if ready.is_empty() {
            return Ok(None);
        }
        Ok(match wait_status(self.pidfd()) {
            Ok(Some(status)) => Some(Exit::from_wait_status(status)),
            // Its parent is about to reap it.
            Ok(None) if !ready.contains(PollFlags::HUP) => None,
            Ok(None) | Err(_) => Some(Exit::Unknown),
        })
    }

    /// Detaches the process: dropping it does not kill it. After its end it is reaped as an orphan.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.reaped.is_none() {
            if !self.detached {
                let _ = self.signal(Signal::KILL);
            }
            if self.is_child {
                orphans::leaders().abandon(self.pid(), self.memory.take());
            }
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
            .expect("with EXITED, a status is an exit code or a terminating signal");
        Self::Code(u8::try_from(code & 0xff).expect("the mask leaves 8 bits"))
    }

    /// Returns the exit status in a wait status, `wait(2)`.
    fn from_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Code(u8::try_from(status >> 8 & 0xff).expect("the mask leaves 8 bits")),
            signal => Self::Signal {
                signal,
                core: status & 0x80 != 0,
            },
        }
    }
}
