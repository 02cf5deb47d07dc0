//! Attachment of a job: one session, with the progress of its lanes.
//!
//! A job has several when sessions are lost. Invariant: the credit of a lane never exceeds what was written, whichever
//! attachment the bytes came from.

use bytes::Bytes;

use super::super::Output;
use crate::message::Lines;
use crate::session::SessionHandle;
use crate::wire::{CallId, Lane, StreamId};

/// Request that opened the call of an attachment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// Nothing yet: without a ticket, the request waits for the agent's answer.
    Nothing,
    Exec,
    Attach,
    /// The request with an age that starts nothing. It is answered as an attach if the agent has the job, and with the
    /// outcome `unknown` otherwise.
    Probe,
}

/// End of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LaneEnd {
    Fin,
    Reset,
}

/// Receiving half of a lane.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Receiving {
    /// Offset of the lane's first byte in the job's output.
    pub(super) base: u64,
    /// Bytes received by this attachment.
    pub(super) received: u64,
    /// Bytes for which credit was granted.
    pub(super) granted: u64,
    /// End of the lane, if it has ended.
    pub(super) end: Option<LaneEnd>,
}

#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) session: SessionHandle,
    pub(super) call: CallId,
    pub(super) asked: Asked,
    /// Run of the agent, once connected.
    pub(super) epoch: Option<u64>,
    /// True if the agent has sent the offsets at which the lanes begin.
    pub(super) accepted: bool,
    /// Offset in stdin of the first byte of the data lane; `None` while it takes no input.
    pub(super) stdin: Option<u64>,
    pub(super) lines: Lines,
    pub(super) lanes: [Receiving; 2],
    /// Output that arrived before `accepted`; bounded by credit.
    pub(super) held: Vec<(Output, Bytes)>,
}

impl Attachment {
    pub(super) fn new(session: SessionHandle, asked: Asked) -> Self {
        Self {
            session,
            call: CallId(0),
            asked,
            epoch: None,
            accepted: false,
            stdin: None,
            lines: Lines::default(),
            lanes: [Receiving::default(); 2],
            held: Vec::new(),
        }
    }

    pub(super) const fn stream(&self, lane: Lane) -> StreamId {
        StreamId::new(self.call, lane)
    }

    /// Opens the next call in the same session.
    pub(super) fn next_call(&mut self, asked: Asked) {
        let fresh = Self::new(self.session, asked);
        *self = Self {
            call: CallId(self.call.0 + 1),
            epoch: self.epoch,
            ..fresh
        };
    }

    /// Returns the credit to grant for an output, and counts it as granted. All bytes below `written` are written.
    pub(super) fn grant(&mut self, output: Output, written: u64) -> Option<u64> {
        let lane = &mut self.lanes[output as usize];
        let target = written.saturating_sub(lane.base).min(lane.received);
        let more = target.saturating_sub(lane.granted);
        lane.granted = lane.granted.saturating_add(more);
        (self.accepted && more > 0).then_some(more)
    }
}
