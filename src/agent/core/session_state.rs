//! An open session and its calls, as the service knows them.
//!
//! Not what the calls are about: their rooms know.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::access::policy_source::Member;
use crate::agent::limits;
use crate::message::Lines;
use crate::time::Instant;
use crate::wire::CallId;
use crate::wire::limits::INVITE;

/// An open session.
#[derive(Debug)]
pub struct SessionState {
    /// Whose.
    pub member: Member,
    /// When it was opened, and so heard of.
    pub opened: Instant,
    /// The invitation it showed.
    pub invite: Option<[u8; INVITE]>,
    /// Its calls that have not ended.
    pub calls: BTreeMap<CallId, Call>,
}

/// A call that has not ended.
#[derive(Default, Debug)]
pub struct Call {
    /// Its control lane, cut into lines.
    pub lines: Lines,
    /// Who deals with it.
    pub kind: CallKind,
    /// How many lines it has brought after the first.
    pub lines_taken: u32,
    /// How many lines of it were no requests.
    pub nonsense: u32,
    /// What came on its data lane before its first line, which chooses the room.
    pub early: Vec<Input>,
}

/// Who deals with a call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CallKind {
    /// Its first line has not come.
    #[default]
    Unopened,
    /// Commands.
    Jobs,
    /// Chat.
    Chat,
    /// Nobody any more: it was answered, and its end is being delivered.
    Answered,
}

/// Bytes of a data lane. They count against the peer's credit, which bounds them.
#[derive(Debug)]
pub struct Input {
    /// Where in the lane.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
    /// The lane ends after them.
    pub fin: bool,
}

impl SessionState {
    /// Whether the lines that were begun and not ended take up too much.
    pub fn is_overfull(&self) -> bool {
        let partial = self.calls.values().map(|call| call.lines.partial());
        partial.sum::<usize>() > limits::PARTIAL_LINES
    }
}
