//! What the job table asks of the system, and what it is told: a trait, so that the simulator can run
//! a whole agent without a process.
//!
//! The answers come as calls of the [`Service`](crate::agent::core::Service): `on_output`, `on_eof`, `on_exit`,
//! `on_stdin_written`, `on_stdin_closed`.

use std::ffi::OsString;

use bytes::Bytes;

use crate::message::{Terminal, Window};

/// The agent's own number for a job: counts up from 0, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct JobId(pub u64);

/// One of a process's outputs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Output {
    /// stdout
    Out = 0,
    /// stderr
    Err = 1,
}

impl Output {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Out, Self::Err];
}

/// What to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// A script to run in the program's place.
    pub script: Option<Vec<u8>>,
    /// Variables beside the clean environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where; `None`: the user's home.
    pub cwd: Option<OsString>,
    /// As whom, by name.
    pub user: String,
    /// A pipe for stdin; otherwise /dev/null.
    pub stdin: bool,
    /// A terminal in the place of all three, `Output::Out` being its screen; its stdin ends with the
    /// character that means so.
    pub terminal: Option<Terminal>,
}

/// How a process's leader ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// It returned this.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// Which.
        signal: i32,
        /// It left a core dump.
        core: bool,
    },
}

/// How much force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Force {
    /// TERM, and five seconds later KILL; the system's side sees to both.
    Ask,
    /// KILL at once.
    Kill,
}

impl Force {
    /// What a signal to the leader's group asks of the whole tree, if it asks for its end.
    #[must_use]
    pub const fn of(signal: i32) -> Option<Self> {
        const TERM: i32 = 15;
        const KILL: i32 = 9;
        match signal {
            TERM => Some(Self::Ask),
            KILL => Some(Self::Kill),
            _ => None,
        }
    }
}

/// The system's side of the jobs. None of these calls blocks, or calls back.
pub trait Processes {
    /// Starts a process and returns its id, or the system's error number. Nothing is read before the
    /// first [`set_room`](Self::set_room).
    ///
    /// # Errors
    /// The number, as `execve(2)` and its kin have it.
    fn spawn(&mut self, job: JobId, spec: Spec) -> Result<i32, i32>;

    /// At most so many bytes of an output may be handed to `on_output` before the next call; 0 stops
    /// reading. Each call replaces the one before.
    fn set_room(&mut self, job: JobId, output: Output, room: u64);

    /// Nobody reads this output any more: our end is closed, so that the process notices.
    fn shut(&mut self, job: JobId, output: Output);

    /// Bytes for its stdin, kept until the pipe takes them, then reported by `on_stdin_written`; after
    /// the last of them, with `eof`, the pipe is closed.
    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool);

    /// The window of its terminal has another size.
    fn resize(&mut self, job: JobId, window: Window) {
        let _ = (job, window);
    }

    /// Ends the whole tree, or what its leader has left of it. `on_exit` follows when the leader has ended.
    fn end(&mut self, job: JobId, force: Force);

    /// Lets go of it: it goes on by itself. Our ends of its pipes are closed, and the number is forgotten.
    fn leave(&mut self, job: JobId);

    /// Sends a signal to the leader's process group. False: it is gone.
    fn signal(&mut self, job: JobId, signal: i32) -> bool;

    /// Whether an output that is open holds bytes that were not handed over.
    fn unread(&self, job: JobId) -> bool {
        let _ = job;
        false
    }

    /// Nothing more is wanted of this job: its pipes are closed and the number is forgotten. Follows
    /// `on_exit`, always; a tree that is being ended is ended nevertheless.
    fn close(&mut self, job: JobId);
}
