//! State of an open session and of its calls.
//!
//! Not the state of jobs and of the chat, which [`jobs`](crate::agent::jobs) and [`chat`](crate::agent::chat)
//! keep.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::access::Controller;
use crate::agent::limits;
use crate::message::{Lines, Request};
use crate::time::Instant;
use crate::wire::CallId;
use crate::wire::limits::INVITE;

/// An open session.
#[derive(Debug)]
pub struct SessionState {
    /// The other end.
    pub controller: Controller,
    /// Time of its opening, at which its controller was heard for the first time.
    pub opened: Instant,
    /// True once the controller has confirmed the session; until then its requests came as early data.
    pub confirmed: bool,
    /// True once its key may no longer connect.
    pub revoked: bool,
    /// Invitation that the controller has shown.
    pub invite: Option<[u8; INVITE]>,
    /// Its calls that have not ended.
    pub calls: BTreeMap<CallId, Call>,
    /// Part of [`usage`](Self::usage) that is counted for its key.
    pub counted: Usage,
}

/// Memory that the calls of a session, or of all sessions of a key, use.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Number of open calls.
    pub calls: usize,
    /// Bytes of incomplete lines, and of data lanes that arrived before their first line.
    pub unread: usize,
}

impl Usage {
    /// Replaces the part of a session.
    pub const fn replace(&mut self, before: Self, after: Self) {
        self.calls = self.calls + after.calls - before.calls;
        self.unread = self.unread + after.unread - before.unread;
    }

    /// Returns true if the sessions of a key exceed their bounds.
    pub const fn is_too_much(self) -> bool {
        self.calls > limits::CALLS_PER_KEY || self.unread > limits::UNREAD_PER_KEY
    }
}

/// A call that has not ended.
#[derive(Default, Debug)]
pub struct Call {
    /// Lines of its control lane.
    pub lines: Lines,
    /// Kind of the call.
    pub kind: CallKind,
    /// Number of lines after the first.
    pub lines_taken: u32,
    /// Number of lines that were no requests.
    pub invalid_lines: u32,
    /// Bytes of its data lane that arrived before its first line.
    pub early: Vec<Input>,
    /// Request of the chat that came too early. The lines after it wait for it.
    pub held: Option<Box<Request>>,
    /// Bytes of its control lane that arrived behind it and gave no credit.
    pub unconsumed: u64,
    /// True if its control lane ends with them.
    pub fin: bool,
}

impl Call {
    /// Bytes of a held request, at least.
    fn held_bytes(&self) -> usize {
        match self.held.as_deref() {
            Some(Request::Say { text, .. }) => text.len(),
            Some(Request::Whisper { to, text, .. }) => to.len() + text.len(),
            Some(_) | None => 0,
        }
    }
}

/// Kind of a call, determined by its first line.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CallKind {
    /// The first line has not arrived.
    #[default]
    Unopened,
    /// Requests about jobs.
    Jobs,
    /// Chat.
    Chat,
    /// Answered; its end is being delivered.
    Answered,
}

/// Bytes of a data lane. They count against the peer's credit, which bounds them.
#[derive(Debug)]
pub struct Input {
    /// Offset in the lane.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
    /// True if the lane ends after them.
    pub fin: bool,
}

impl SessionState {
    /// Returns the memory that its calls use.
    pub fn usage(&self) -> Usage {
        let unread = |call: &Call| {
            let early: usize = call.early.iter().map(|input| input.data.len()).sum();
            call.lines.partial() + early + call.held_bytes()
        };
        Usage {
            calls: self.calls.len(),
            unread: self.calls.values().map(unread).sum(),
        }
    }

    /// Returns true if the incomplete lines exceed their bound.
    pub fn is_overfull(&self) -> bool {
        let partial = self.calls.values().map(|call| call.lines.partial());
        partial.sum::<usize>() > limits::PARTIAL_LINES
    }
}
