//! The sans-IO agent: sessions and their calls, each handed to its room.
//!
//! Session events, the doings of processes and the time go in; commands for the session machine, notes
//! for the log and the next deadline come out. No socket, no file, no clock: the simulator runs a
//! whole agent with pretended [`Processes`] and [`Directory`]. **After every call that changes something,
//! drain [`poll_command`](Hub::poll_command) and [`poll_note`](Hub::poll_note), then sleep until
//! [`poll_timeout`](Hub::poll_timeout).** Spurious calls are harmless.

use bytes::Bytes;

use super::directory::Directory;
use super::jobs::{Exit, JobId, Output, Processes};
use crate::crypto::PublicKey;
use crate::message::{Outcome, RequestId};
use crate::session::{self, Command, ConnectionId};
use crate::time::Instant;

/// Whether commands are run at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commands {
    /// As the directory allows.
    Run,
    /// All are denied (`--no-exec`).
    Refuse,
}

/// How a hub is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent's name, as `pong` and chat show it.
    pub name: String,
    /// Whether it runs commands.
    pub commands: Commands,
}

/// Something for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A session was opened.
    Opened {
        /// Which.
        connection: ConnectionId,
        /// By whom.
        key: PublicKey,
        /// Its name, if it is known.
        name: Option<String>,
        /// From where.
        remote: std::net::SocketAddr,
    },
    /// A command was accepted and is about to be started.
    Accepted {
        /// Its id.
        id: RequestId,
        /// Whose.
        key: PublicKey,
        /// What, as far as it is shown.
        argv: Vec<crate::message::OsText>,
    },
    /// A command is over.
    Ended {
        /// Its id.
        id: RequestId,
        /// Whose.
        key: PublicKey,
        /// How.
        outcome: Outcome,
        /// Bytes of stdout.
        stdout: u64,
        /// Bytes of stderr.
        stderr: u64,
    },
    /// A command was not run.
    Refused {
        /// Its id.
        id: RequestId,
        /// Whose.
        key: PublicKey,
        /// Why.
        outcome: Outcome,
    },
    /// A key was entered on an invitation.
    Registered {
        /// Whose.
        key: PublicKey,
        /// Under which name.
        name: String,
    },
}

/// The agent without its surroundings.
pub struct Hub<P> {
    processes: P,
}

impl<P: Processes> Hub<P> {
    /// A hub without sessions. `now` is when the agent began: requests older than that are not known.
    #[must_use]
    pub fn new(config: Config, directory: Box<dyn Directory>, processes: P, now: Instant) -> Self {
        todo!()
    }

    /// The system's side, to find out what has happened there.
    pub const fn processes(&mut self) -> &mut P {
        &mut self.processes
    }

    /// The session machine has said something.
    pub fn on_session_event(&mut self, now: Instant, event: session::Event) {
        todo!()
    }

    /// A process has written, within the room it was given.
    pub fn on_output(&mut self, now: Instant, job: JobId, output: Output, data: Bytes) {
        todo!()
    }

    /// No more will come of this output.
    pub fn on_eof(&mut self, now: Instant, job: JobId, output: Output) {
        todo!()
    }

    /// So many more bytes were written to the pipe.
    pub fn on_stdin_written(&mut self, now: Instant, job: JobId, bytes: u64) {
        todo!()
    }

    /// The process reads no more: what was not written is gone.
    pub fn on_stdin_closed(&mut self, now: Instant, job: JobId) {
        todo!()
    }

    /// The leader has ended. Output may still follow.
    pub fn on_exit(&mut self, now: Instant, job: JobId, exit: Exit) {
        todo!()
    }

    /// The answers of the directory may have changed: keys that are no longer known lose their sessions
    /// and their jobs.
    pub fn on_directory_changed(&mut self, now: Instant) {
        todo!()
    }

    /// The agent is to end: takes no more commands, ends all that run, and when they are over, or at the
    /// latest after the grace, closes all sessions. Then [`is_over`](Self::is_over).
    pub fn shut_down(&mut self, now: Instant) {
        todo!()
    }

    /// Whether a shutdown is complete: no job runs, every session was told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        todo!()
    }

    /// Time has passed. Harmless when nothing is due.
    pub fn on_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// When [`on_timeout`](Self::on_timeout) should be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// The next command for the session machine.
    pub fn poll_command(&mut self) -> Option<Command> {
        todo!()
    }

    /// The next note for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        todo!()
    }
}
