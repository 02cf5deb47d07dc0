//! One command on one host: session events, input, and counts of written bytes in; session commands,
//! output and at last a [`Report`] out.
//!
//! Sans-IO, and without a clock of its own: the session machine tells when nothing answered in time
//! ([`Closed::Unreachable`](crate::session::Closed)) and when a session fell silent. After every call
//! the driver drains [`Attempt::poll`].
//!
//! Invariants: a second start is never asked for, only an attach, unless the same run of the agent says
//! that it has never seen the request; credit is granted only for bytes that were reported written; the
//! report follows the last byte.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::{Output, Report};
use crate::crypto::PublicKey;
use crate::message::{Exec, RequestId};
use crate::session::{Command, ConnectionId, Event, Path, Ticket};

/// What is asked of the agent.
#[derive(Clone, Debug)]
pub enum Opening {
    /// Run a command.
    Exec(Exec),
    /// Attach to a job that runs or ran.
    Attach {
        /// The job.
        id: RequestId,
        /// First stdout byte wanted; `None`: the first that no controller has written out.
        stdout: Option<u64>,
        /// First stderr byte wanted; likewise.
        stderr: Option<u64>,
    },
}

/// When the machine is through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// When the result is whole.
    Result,
    /// When the command runs.
    Detach,
}

/// What a command on a host needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Numbers this attempt among those of the process; see [`Attempt::owns`].
    pub slot: u32,
    /// What to ask.
    pub opening: Opening,
    /// Until when.
    pub goal: Goal,
    /// Whose agent it must be.
    pub agent: PublicKey,
    /// Its addresses, best first; not empty.
    pub paths: Vec<Path>,
    /// What is remembered of it.
    pub ticket: Option<Ticket>,
    /// How long an agent that does not answer is waited for.
    pub contact_timeout: Duration,
    /// How long an agent that fell silent is asked again.
    pub patience: Duration,
}

/// What the machine wants done.
#[derive(Clone, Debug)]
pub enum Action {
    /// For the session machine.
    Command(Command),
    /// The next bytes of an output, in order, each once. Report them with [`Attempt::on_written`].
    Output(Output, Bytes),
    /// To be remembered of the agent.
    Learned(Ticket),
    /// The agent has taken the request.
    Accepted,
    /// It is over; nothing follows.
    Ended(Report),
}

/// One command on one host.
pub struct Attempt {
    _todo: (),
}

impl Attempt {
    /// Begins: the first action opens a session.
    #[must_use]
    pub fn new(config: Config) -> Self {
        todo!()
    }

    /// The slot of the attempt that a session belongs to.
    #[must_use]
    pub const fn slot_of(connection: ConnectionId) -> u32 {
        (connection.0 >> 16) as u32
    }

    /// Something happened on one of its sessions.
    pub fn on_event(&mut self, event: Event) {
        todo!()
    }

    /// So many more bytes of an output have been written out for good.
    pub fn on_written(&mut self, output: Output, bytes: u64) {
        todo!()
    }

    /// Nobody reads an output any more: the process is to notice, and be ended.
    pub fn on_broken_pipe(&mut self, output: Output) {
        todo!()
    }

    /// The next bytes of stdin; `fin`: its end.
    pub fn on_stdin(&mut self, data: Bytes, fin: bool) {
        todo!()
    }

    /// Whether [`Attempt::on_stdin`] should be called: there is credit, and the process still reads.
    #[must_use]
    pub fn wants_stdin(&self) -> bool {
        todo!()
    }

    /// The user wants it ended; the report tells how it ended.
    pub fn cancel(&mut self) {
        todo!()
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Action> {
        todo!()
    }
}
