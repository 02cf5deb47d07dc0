//! Starting: from a `Spec` to a child, which becomes the program or reports the step that failed.
//!
//! Not the steps of the child (`child`). Invariant: no call waits for a file system, the user database or the child,
//! and dropping waits neither.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};

use super::child::{self, Plan};
use super::image::Image;
use super::orphans::StartGuard;
use super::report::{self, Record};
use super::{
    Cause, Pid, Pipe, Process, Signal, SpawnError, Spec, Stage, Tree, User, login, orphans,
    start_time, streams,
};

/// Starts a process in a session and process group of its own, with exactly the specified environment, with
/// descriptors 0, 1 and 2 (and 3 for a script) only, with default signal dispositions, an empty signal mask,
/// umask 022 and an OOM score adjustment of 0.
///
/// Returns as soon as the child exists. For the agent's own user it may be called from any thread; for another user
/// the program must have a single thread, because the child uses the C library. The process outlives the calling
/// thread, which is why `PR_SET_PDEATHSIG` is not used.
///
/// # Errors
/// The agent's own resources do not suffice, or the specification is invalid. What fails in the child is returned
/// by [`Starting::poll`].
pub fn start(spec: &Spec) -> Result<Starting, SpawnError> {
    let (streams, report, child_ends) = streams::open(spec)?;
    let launch = |plan: Plan| {
        let guard = StartGuard::begin();
        let before = start_time::tick();
        let child = child::launch(plan, &child_ends).map_err(SpawnError::of(Stage::Prepare))?;
        orphans::leaders().insert(child.pid);
        drop(guard);
        // It is not reaped before its `Process` exists, so the id is its own.
        let pidfd = match child.pidfd {
            Some(pidfd) => Ok(pidfd),
            None => pidfd_open(child.pid, PidfdFlags::empty()),
        };
        match pidfd {
            Ok(pidfd) => {
                let started = start_time::of_child(child.pid, before);
                Ok((child.pid, started, pidfd, child.memory))
            }
            Err(errno) => {
                let _ = kill_process(child.pid, Signal::KILL);
                orphans::leaders().abandon(child.pid, child.memory);
                Err(SpawnError::of(Stage::Prepare)(errno))
            }
        }
    };
    let (pid, started, pidfd, memory) = match &spec.user {
        User::Own(account) => launch(Plan::Ready(Box::new(Image::new(spec, account, None)?)))?,
        User::Named(name) => launch(Plan::LookUp(&|| {
            let login = login::look_up(name).map_err(|cause| SpawnError {
                stage: Stage::User,
                cause,
            })?;
            Image::new(spec, &login.account, Some(&login.groups)).map(Box::new)
        }))?,
    };
    let tree = Tree::new(pid, spec, started);
    Ok(Starting {
        process: Process::new(tree, pidfd, memory, streams),
        report,
        received: [0; RECEIVED],
        length: 0,
        outcome: None,
        killed: false,
    })
}

/// Bytes of a report: at most two records.
const RECEIVED: usize = 2 * report::LENGTH;

/// A process that was made and may not have executed its program yet.
///
/// Its pipes and its id can be used. Dropping it kills the process, as dropping a [`Process`] does.
#[derive(Debug)]
pub struct Starting {
    process: Process,
    report: Pipe,
    received: [u8; RECEIVED],
    length: usize,
    outcome: Option<Result<Started, SpawnError>>,
    killed: bool,
}

/// Values of a start besides its process and the descriptor of its report.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct StartingParts {
    received: Vec<u8>,
    killed: bool,
}

/// Result of a successful start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    /// Error number of entering the home directory, if the program runs in `/` because of it.
    pub home: Option<i32>,
}

impl Starting {
    /// Returns what is known of it, for the program that takes this one's place.
    #[must_use]
    pub fn to_parts(&self) -> StartingParts {
        StartingParts {
            received: self.received[..self.length].to_vec(),
            killed: self.killed,
        }
    }

    /// Takes a start that this program has begun before it was executed anew.
    ///
    /// # Errors
    /// The parts are no values of one, or those of `fcntl(2)`.
    pub fn adopt(process: Process, report: OwnedFd, parts: &StartingParts) -> io::Result<Self> {
        let mut received = [0; RECEIVED];
        let known = received.get_mut(..parts.received.len());
        known
            .ok_or(io::ErrorKind::InvalidData)?
            .copy_from_slice(&parts.received);
        Ok(Self {
            process,
            report: Pipe::adopt(report)?,
            received,
            length: parts.received.len(),
            outcome: None,
            killed: parts.killed,
        })
    }

    /// Returns its process id, which is also the id of its session and process group.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Returns a descriptor that becomes and stays readable when the leader has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// Returns a descriptor that becomes readable when [`poll`](Self::poll) may return the outcome. Register it
    /// with `mio::unix::SourceFd`.
    #[must_use]
    pub fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// Returns the outcome if it is known. Later calls return the same.
    pub fn poll(&mut self) -> Option<Result<Started, SpawnError>> {
        while self.outcome.is_none() {
            self.outcome = match self.report.read(&mut self.received[self.length..]) {
                Ok(0) => {
                    self.process.has_left_memory();
                    Some(self.conclude())
                }
                Ok(count) => {
                    self.length += count;
                    self.failure().map(Err)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => Some(Err(SpawnError::of(Stage::Prepare)(error))),
            };
        }
        self.outcome
    }

    /// Waits for the outcome, for at most `timeout`. For a program that serves nobody meanwhile.
    ///
    /// # Errors
    /// That of the start, or `ETIMEDOUT`; the child is killed then.
    pub fn wait(mut self, timeout: Duration) -> Result<Process, SpawnError> {
        let at = SpawnError::of(Stage::Execute);
        let timeout = Timespec::try_from(timeout).map_err(|_| at(Errno::INVAL))?;
        loop {
            if let Some(outcome) = self.poll() {
                return outcome.map(|_| self.process);
            }
            let mut fds = [PollFd::new(&self.report, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut fds, Some(&timeout))).map_err(&at)? == 0 {
                return Err(at(Errno::TIMEDOUT));
            }
        }
    }

    /// Kills it, for a caller that waits no longer. It may linger, if a file system or device does not answer; follow
    /// it by its [`Process`]. From now on the outcome is never a success.
    pub fn kill(&mut self) {
        self.killed = true;
        // Its process group may not exist yet.
        let _ = pidfd_send_signal(self.pidfd(), Signal::KILL);
        let _ = self.process.signal(Signal::KILL);
    }

    /// Returns the process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Returns the process, whose pipes can be taken.
    pub const fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns the process, whatever the outcome. After a failure it ends by itself and must be reaped.
    #[must_use]
    pub fn into_process(self) -> Process {
        self.process
    }

    fn records(&self) -> impl Iterator<Item = Option<Record>> {
        let (records, _) = self.received[..self.length].as_chunks();
        records.iter().map(|bytes| Record::decode(*bytes))
    }

    fn failure(&self) -> Option<SpawnError> {
        self.records().find_map(|record| match record {
            Some(Record::Failed(failure)) => Some(failure),
            Some(Record::Executing { .. }) | None => None,
        })
    }

    /// Returns the outcome after the end of the report, if no failure was reported.
    fn conclude(&self) -> Result<Started, SpawnError> {
        let ended = |stage| SpawnError {
            stage,
            cause: Cause::Ended,
        };
        match self.records().next() {
            Some(Some(Record::Executing { home })) if !self.killed => Ok(Started { home }),
            Some(Some(Record::Executing { .. })) => Err(ended(Stage::Execute)),
            Some(Some(Record::Failed(failure))) => Err(failure),
            Some(None) | None => Err(ended(Stage::Prepare)),
        }
    }
}
