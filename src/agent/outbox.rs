//! What the rooms of the agent want said: commands for the session machine, collected in order.
//!
//! Sans-IO. Not a queue of its own: the service drains it after every event. What goes onto a lane is bounded by
//! the room that writes it, which keeps within the peer's credit.

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
    /// The next command for the machine.
    pub fn pop(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Any command.
    pub fn push(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// A line on the call's control lane.
    pub fn reply(&mut self, to: CallRef, reply: &Reply) {
        self.write(to, Lane::Control, to_line(reply).into(), false);
    }

    /// Bytes on a lane.
    pub fn write(&mut self, to: CallRef, lane: Lane, data: Bytes, fin: bool) {
        let stream = StreamId::new(to.call, lane);
        self.push(Command::Write {
            session: to.session,
            stream,
            data,
            fin,
        });
    }

    /// The last line of a call: then the control lane ends.
    pub fn last_reply(&mut self, to: CallRef, reply: &Reply) {
        self.write(to, Lane::Control, to_line(reply).into(), true);
    }

    /// Credit for what was disposed of.
    pub fn consumed(&mut self, from: CallRef, lane: Lane, bytes: u64) {
        let stream = StreamId::new(from.call, lane);
        self.push(Command::Consumed {
            session: from.session,
            stream,
            bytes,
        });
    }

    /// No more of this lane is wanted.
    pub fn stop(&mut self, to: CallRef, lane: Lane, code: StreamCode) {
        let stream = StreamId::new(to.call, lane);
        self.push(Command::Stop {
            session: to.session,
            stream,
            code: code as u64,
        });
    }

    /// The call is done with, as far as the agent is concerned.
    pub fn release(&mut self, call: CallRef) {
        self.push(Command::Release {
            session: call.session,
            call: call.call,
        });
    }
}
