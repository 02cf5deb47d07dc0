//! Commands of the agent for the session layer, in order.
//!
//! Sans-IO. The service is drained after every event. The data on a lane is bounded by its writer, which keeps within
//! the credit of the peer.

use bytes::Bytes;

use crate::message::{Reply, StreamCode, to_line};
use crate::session::{Command, SessionHandle};
use crate::wire::{CallId, Lane, StreamId};

/// A call, by the session it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallRef {
    /// The session.
    pub session: SessionHandle,
    /// The call in it.
    pub call: CallId,
}

/// Commands in the order they were given.
#[derive(Default, Debug)]
pub struct Outbox {
    commands: std::collections::VecDeque<Command>,
}

impl Outbox {
    /// Returns the next command.
    pub fn pop(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Appends a command.
    pub fn push(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// Writes a reply to the control lane of a call.
    pub fn reply(&mut self, to: CallRef, reply: &Reply) {
        self.write(to, Lane::Control, to_line(reply).into(), false);
    }

    /// Writes bytes to a lane.
    pub fn write(&mut self, to: CallRef, lane: Lane, data: Bytes, fin: bool) {
        let stream = StreamId::new(to.call, lane);
        self.push(Command::Write {
            session: to.session,
            stream,
            data,
            fin,
        });
    }

    /// Writes the last reply of a call and ends the control lane.
    pub fn last_reply(&mut self, to: CallRef, reply: &Reply) {
        self.write(to, Lane::Control, to_line(reply).into(), true);
    }

    /// Grants credit for consumed bytes.
    pub fn consumed(&mut self, from: CallRef, lane: Lane, bytes: u64) {
        let stream = StreamId::new(from.call, lane);
        self.push(Command::Consumed {
            session: from.session,
            stream,
            bytes,
        });
    }

    /// Stops a lane that is not wanted.
    pub fn stop(&mut self, to: CallRef, lane: Lane, code: StreamCode) {
        let stream = StreamId::new(to.call, lane);
        self.push(Command::Stop {
            session: to.session,
            stream,
            code: code as u64,
        });
    }

    /// Releases a call.
    pub fn release(&mut self, call: CallRef) {
        self.push(Command::Release {
            session: call.session,
            call: call.call,
        });
    }
}
