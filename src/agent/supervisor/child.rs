//! The child of a job: on its way to its program, or running it.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use mio::Registry;
use mio::unix::SourceFd;

use crate::process::{Exit, Pid, Pipe, Process, Signal, Slave, SpawnError, Started, Starting};

/// The child of a job.
pub enum Child {
    /// It may not have executed its program yet.
    Starting(Starting),
    /// It runs its program, or has ended.
    Running(Process),
}

impl Child {
    /// Returns its process id.
    pub fn pid(&self) -> Pid {
        self.process().pid()
    }

    /// Returns a descriptor that is readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process().pidfd()
    }

    /// Returns a descriptor that is readable when the outcome of its start is known.
    pub fn report(&self) -> Option<RawFd> {
        match self {
            Self::Starting(starting) => Some(starting.report().as_raw_fd()),
            Self::Running(_) => None,
        }
    }

    /// Takes its pipes (stdin, stdout, stderr) and its terminal.
    pub fn take_streams(&mut self) -> ([Option<Pipe>; 3], Option<Slave>) {
        let process = match self {
            Self::Starting(starting) => starting.process_mut(),
            Self::Running(process) => process,
        };
        let pipes = [
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        ];
        (pipes, process.slave.take())
    }

    /// Returns the outcome of its start if it is known.
    pub fn poll(&mut self) -> Option<Result<Started, SpawnError>> {
        match self {
            Self::Starting(starting) => starting.poll(),
            Self::Running(_) => None,
        }
    }

    /// Becomes a running process after a successful start.
    #[must_use]
    pub fn started(self) -> Self {
        match self {
            Self::Starting(starting) => Self::Running(starting.into_process()),
            running @ Self::Running(_) => running,
        }
    }

    /// Returns its exit status if it has ended.
    pub fn exited(&self) -> io::Result<Option<Exit>> {
        self.process().exited()
    }

    /// Reaps it if it has ended.
    pub fn reap(&mut self) -> io::Result<Option<Exit>> {
        match self {
            Self::Starting(starting) => starting.process_mut().reap(),
            Self::Running(process) => process.reap(),
        }
    }

    /// Kills it before it has executed its program.
    pub fn kill(&mut self) {
        match self {
            Self::Starting(starting) => starting.kill(),
            Self::Running(process) => {
                let _ = process.signal(Signal::KILL);
            }
        }
    }

    /// Detaches it: dropping it does not kill it.
    pub fn detach(self) {
        match self {
            Self::Starting(starting) => starting.into_process().detach(),
            Self::Running(process) => process.detach(),
        }
    }

    /// Removes its descriptors from the poll.
    pub fn deregister(&self, registry: &Registry) {
        let pidfd = self.pidfd().as_raw_fd();
        for descriptor in [Some(pidfd), self.report()].into_iter().flatten() {
            let _ = registry.deregister(&mut SourceFd(&descriptor));
        }
    }

    /// Returns the process.
    pub const fn process(&self) -> &Process {
        match self {
            Self::Starting(starting) => starting.process(),
            Self::Running(process) => process,
        }
    }
}
