//! One session of a job: where its lanes stand. A journey to a host may take several.
//!
//! Invariant: a lane's credit never runs ahead of what was written, whatever attachment the bytes came by.

use bytes::Bytes;

use super::super::Output;
use crate::message::Lines;
use crate::session::SessionHandle;
use crate::wire::{CallId, Lane, StreamId};

/// What the attachment's call was opened with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Exec,
    Attach,
    /// The request, in a way that starts nothing: answered as an attach if the agent knows it, by the
    /// outcome `unknown` otherwise.
    Probe,
}

/// How a lane ended before its bytes were complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LaneEnd {
    Fin,
    Reset,
}

/// The receiving half of a lane.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Receiving {
    /// Where the lane's first byte stands in the job's output.
    pub(super) base: u64,
    /// Bytes received by this attachment.
    pub(super) received: u64,
    /// Bytes that credit was granted for.
    pub(super) granted: u64,
    /// No more will come.
    pub(super) end: Option<LaneEnd>,
}

#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) session: SessionHandle,
    pub(super) call: CallId,
    pub(super) asked: Asked,
    /// The agent's run, once connected.
    pub(super) epoch: Option<u64>,
    /// The agent said where the lanes begin.
    pub(super) accepted: bool,
    /// Offset in stdin where the data lane of this attachment begins; `None`: not to be written yet.
    pub(super) stdin: Option<u64>,
    pub(super) lines: Lines,
    pub(super) lanes: [Receiving; 2],
    /// Output that came before `accepted` did; bounded by credit.
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

    /// The same session, the next call.
    pub(super) fn next_call(&mut self, asked: Asked) {
        let fresh = Self::new(self.session, asked);
        *self = Self {
            call: CallId(self.call.0 + 1),
            epoch: self.epoch,
            ..fresh
        };
    }

    /// How many more bytes of an output may be granted, if all below `written` are written out.
    pub(super) fn grant(&mut self, output: Output, written: u64) -> Option<u64> {
        let lane = &mut self.lanes[output as usize];
        let target = written.saturating_sub(lane.base).min(lane.received);
        let more = target.saturating_sub(lane.granted);
        lane.granted = lane.granted.saturating_add(more);
        (self.accepted && more > 0).then_some(more)
    }
}
