//! The interface between the job table and the processes of the system. It is a trait, so that the simulator
//! can run a whole agent without a process.
//!
//! Events of processes are reported by calls of the [`Service`](crate::agent::core::Service): `on_output`,
//! `on_eof`, `on_exit`, `on_stdin_written`, `on_stdin_closed`.

use std::ffi::OsString;

use bytes::Bytes;

use crate::message::{Terminal, Window};

/// Number of a job within the agent. Counts up from 0 and is never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct JobId(pub u64);

/// Process id of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pid(pub i32);

/// Error number of the system (`errno(3)`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// `EPERM`.
    pub const NOT_PERMITTED: Self = Self(1);
    /// `E2BIG`.
    pub const TOO_BIG: Self = Self(7);
    /// `ENOTDIR`.
    pub const NOT_A_DIRECTORY: Self = Self(20);
    /// `EINVAL`.
    pub const INVALID: Self = Self(22);
}

/// An output of a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Output {
    /// stdout
    Out = 0,
    /// stderr
    Err = 1,
}

impl Output {
    /// Both outputs.
    pub const ALL: [Self; 2] = [Self::Out, Self::Err];
}

/// A process to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// A script to run in the program's place.
    pub script: Option<Vec<u8>>,
    /// Variables in addition to the clean environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory; `None` for the user's home.
    pub cwd: Option<OsString>,
    /// Name of the user that it runs as.
    pub user: String,
    /// True for a pipe as stdin, false for /dev/null.
    pub stdin: bool,
    /// A terminal as stdin, stdout and stderr. Its output is `Output::Out`; the end of its input is signalled
    /// by its end-of-file character.
    pub terminal: Option<Terminal>,
}

/// Exit status of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// Exit code.
    Code(u8),
    /// Ended by a signal.
    Signal {
        /// The signal.
        signal: i32,
        /// True if it dumped core.
        core: bool,
    },
}

/// Force with which a process tree is ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Force {
    /// TERM, and KILL five seconds later; the implementation sends both.
    Terminate,
    /// KILL at once.
    Kill,
}

impl Force {
    /// Returns the force for the whole tree that a signal to the leader's group implies; `None` if the signal
    /// does not ask for the end.
    #[must_use]
    pub const fn of(signal: i32) -> Option<Self> {
        const TERM: i32 = 15;
        const KILL: i32 = 9;
        match signal {
            TERM => Some(Self::Terminate),
            KILL => Some(Self::Kill),
            _ => None,
        }
    }
}

/// The processes of the jobs. No call blocks or calls back.
pub trait Processes {
    /// Starts a process. Nothing is read before the first [`set_read_limit`](Self::set_read_limit).
    ///
    /// # Errors
    /// The error of `fork(2)`, `execve(2)` or a step between them.
    fn spawn(&mut self, job: JobId, spec: Spec) -> Result<Pid, Errno>;

    /// Sets the number of bytes of an output that may be passed to `on_output` before the next call; 0 stops
    /// reading. Each call replaces the previous limit.
    fn set_read_limit(&mut self, job: JobId, output: Output, bytes: u64);

    /// Closes the reading end of an output, so that the process gets a broken pipe.
    fn shut(&mut self, job: JobId, output: Output);

    /// Queues bytes for stdin. `on_stdin_written` reports them when the pipe has taken them. With `eof` the
    /// pipe is closed after them.
    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool);

    /// Sets the window size of its terminal.
    fn resize(&mut self, job: JobId, window: Window) {
        let _ = (job, window);
    }

    /// Ends the process tree, or what remains of it. `on_exit` follows when the leader has ended.
    fn end(&mut self, job: JobId, force: Force);

    /// Detaches a process: it continues on its own. Its pipes are closed and the job number is forgotten.
    fn detach(&mut self, job: JobId);

    /// Sends a signal to the leader's process group. Returns false if the leader has ended.
    fn signal(&mut self, job: JobId, signal: i32) -> bool;

    /// Returns true if an open output holds bytes that have not been read.
    fn unread(&self, job: JobId) -> bool {
        let _ = job;
        false
    }

    /// Closes the pipes of a job and forgets its number. Called only after `on_exit`. A tree that is being
    /// ended is ended nevertheless.
    fn close(&mut self, job: JobId);
}
