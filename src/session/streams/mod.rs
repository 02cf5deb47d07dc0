//! The calls of a session with their lanes, and the session's own credit.
//!
//! Only the controller opens calls, in order of their numbers. A call leaves the table when the
//! application has released it and every half of it is done, so a frame for a lower number that is
//! not in the table is an echo of the past and ignored. Invariants: the bytes counted against the
//! session's credit are the same at both ends; what can be sent stands in a queue.

mod intervals;
mod recv;
mod send;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use recv::RecvHalf;
pub(super) use recv::Violation;
pub(super) use send::Chunk;
use send::SendHalf;

use super::limits;
use crate::wire::{CallId, Lane, StreamId};

/// Which end of a session this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Controller,
    Agent,
}

/// What a stream has for the application.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum StreamEvent {
    Data {
        stream: StreamId,
        offset: u64,
        data: Bytes,
        fin: bool,
    },
    Writable {
        stream: StreamId,
        consumed: u64,
        limit: u64,
    },
    Delivered {
        stream: StreamId,
    },
    Reset {
        stream: StreamId,
        code: u64,
    },
    Stopped {
        stream: StreamId,
        code: u64,
    },
    CallEnded {
        call: CallId,
    },
}

#[derive(Default)]
struct Lanes {
    send: [Option<SendHalf>; 3],
    recv: [Option<RecvHalf>; 3],
    /// STOP to be sent, by lane.
    stop: [Option<u64>; 3],
    released: bool,
}

/// All streams of a session.
pub(super) struct Streams {
    side: Side,
    stream_window: u64,
    session_window: u64,
    calls: BTreeMap<u32, Lanes>,
    /// Above every call number used so far.
    next_call: u32,
    /// Streams with something to send, each at most once.
    sendable: VecDeque<StreamId>,
    /// Streams with something for the application; duplicates are harmless.
    eventful: VecDeque<StreamId>,
    events: VecDeque<StreamEvent>,
    /// Streams that owe the peer a credit, RESET or STOP frame; duplicates are harmless.
    owing: VecDeque<StreamId>,
    session_credit_owed: bool,
    /// Sent so far, and the peer's credit for it.
    sent: u64,
    sent_limit: u64,
    /// Received so far, consumed, and the credit granted.
    received: u64,
    consumed: u64,
    granted: u64,
}

/// A frame about credit or a stream's premature end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamFrame {
    Credit {
        stream: StreamId,
        consumed: u64,
        max: u64,
    },
    Reset {
        stream: StreamId,
        code: u64,
        final_size: u64,
    },
    Stop {
        stream: StreamId,
        code: u64,
    },
}

impl Streams {
    pub(super) fn new(side: Side, stream_window: u64, session_window: u64) -> Self {
        Self {
            side,
            stream_window,
            session_window,
            calls: BTreeMap::new(),
            next_call: 0,
            sendable: VecDeque::new(),
            eventful: VecDeque::new(),
            events: VecDeque::new(),
            owing: VecDeque::new(),
            session_credit_owed: false,
            sent: 0,
            sent_limit: limits::INITIAL_SESSION_CREDIT,
            received: 0,
            consumed: 0,
            granted: limits::INITIAL_SESSION_CREDIT,
        }
    }

    /// Calls that are open.
    pub(super) fn open_calls(&self) -> usize {
        self.calls.len()
    }

    fn may_send(&self, lane: Lane) -> bool {
        self.side == Side::Agent || lane != Lane::Error
    }

    // What the application asks.

    pub(super) fn write(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        let call = stream.call();
        if !self.may_send(stream.lane()) {
            return;
        }
        if !self.calls.contains_key(&call.0) {
            if self.side == Side::Agent || call.0 < self.next_call {
                return;
            }
            if self.calls.len() >= limits::CALLS {
                self.events.push_back(StreamEvent::CallEnded { call });
                return;
            }
            self.next_call = call.0.saturating_add(1);
        }
        let lanes = self.calls.entry(call.0).or_default();
        let half = lanes.send[stream.lane() as usize].get_or_insert_with(SendHalf::new);
        half.write(data, fin);
        self.queue(stream);
    }

    pub(super) fn consumed(&mut self, stream: StreamId, bytes: u64) {
        let Some(half) = self.recv_half(stream) else {
            return;
        };
        if half.is_discarding() {
            return;
        }
        half.on_consumed(bytes);
        if half.wants_credit() {
            self.owing.push_back(stream);
        }
        self.return_session_credit(bytes);
    }

    pub(super) fn reset(&mut self, stream: StreamId, code: u64) {
        if let Some(lanes) = self.calls.get_mut(&stream.call().0)
            && lanes.send[stream.lane() as usize]
                .get_or_insert_with(SendHalf::new)
                .reset(code)
        {
            self.owing.push_back(stream);
        }
    }

    pub(super) fn stop(&mut self, stream: StreamId, code: u64) {
        let window = self.stream_window;
        let Some(lanes) = self.calls.get_mut(&stream.call().0) else {
            return;
        };
        let lane = stream.lane() as usize;
        let half = lanes.recv[lane].get_or_insert_with(|| RecvHalf::new(window));
        if half.is_discarding() {
            return;
        }
        let freed = half.discard();
        if !half.has_final_size() {
            lanes.stop[lane] = Some(code);
            self.owing.push_back(stream);
        }
        self.return_session_credit(freed);
    }

    /// Ends what is still open of a call, in both directions.
    pub(super) fn release(&mut self, call: CallId) {
        let Some(lanes) = self.calls.get_mut(&call.0) else {
            return;
        };
        if std::mem::replace(&mut lanes.released, true) {
            return;
        }
        for lane in [Lane::Control, Lane::Main, Lane::Error] {
            let stream = StreamId::new(call, lane);
            if self.may_receive(lane) && !self.recv_done(stream) {
                self.stop(stream, 0);
            }
            if self
                .send_half(stream)
                .is_some_and(|half| half.is_unfinished())
            {
                self.reset(stream, 0);
            }
        }
        self.forget_if_done(call);
    }

    fn may_receive(&self, lane: Lane) -> bool {
        self.side == Side::Controller || lane != Lane::Error
    }

    fn recv_done(&mut self, stream: StreamId) -> bool {
        self.recv_half(stream).is_some_and(|half| half.is_done())
    }

    // What the peer says.

    pub(super) fn on_stream(
        &mut self,
        stream: StreamId,
        offset: u64,
        data: &[u8],
        fin: bool,
    ) -> Result<(), Violation> {
        let Some(half) = self.half_for_frame(stream)? else {
            return Ok(());
        };
        let grown = half.on_stream(offset, data, fin)?;
        self.after_receipt(stream, grown)
    }

    pub(super) fn on_reset(
        &mut self,
        stream: StreamId,
        code: u64,
        final_size: u64,
    ) -> Result<(), Violation> {
        let Some(half) = self.half_for_frame(stream)? else {
            return Ok(());
        };
        let grown = half.on_reset(code, final_size)?;
        self.after_receipt(stream, grown)
    }

    fn after_receipt(&mut self, stream: StreamId, grown: u64) -> Result<(), Violation> {
        self.received += grown;
        if self.received > self.granted {
            return Err("session credit exceeded");
        }
        let Some(half) = self.recv_half(stream) else {
            return Ok(());
        };
        let discarded = half.take_discarded();
        let (wants_credit, has_event) = (half.wants_credit(), half.has_event());
        if wants_credit {
            self.owing.push_back(stream);
        }
        if has_event && self.eventful.back() != Some(&stream) {
            self.eventful.push_back(stream);
        }
        self.return_session_credit(discarded);
        self.forget_if_done(stream.call());
        Ok(())
    }

    pub(super) fn on_stop(&mut self, stream: StreamId, code: u64) -> Result<(), Violation> {
        if !self.may_send(stream.lane()) {
            return Err("STOP for a lane that does not exist");
        }
        let Some(lanes) = self.lanes_for_frame(stream)? else {
            return Ok(());
        };
        let half = lanes.send[stream.lane() as usize].get_or_insert_with(SendHalf::new);
        if half.reset(code) {
            let released = lanes.released;
            self.owing.push_back(stream);
            if !released {
                self.events.push_back(StreamEvent::Stopped { stream, code });
            }
        }
        Ok(())
    }

    pub(super) fn on_max_stream_data(
        &mut self,
        stream: StreamId,
        consumed: u64,
        max: u64,
    ) -> Result<(), Violation> {
        if !self.may_send(stream.lane()) {
            return Err("credit for a lane that does not exist");
        }
        let Some(lanes) = self.lanes_for_frame(stream)? else {
            return Ok(());
        };
        let half = lanes.send[stream.lane() as usize].get_or_insert_with(SendHalf::new);
        if half.on_credit(consumed, max) && !lanes.released {
            let (consumed, limit) = half.credit();
            self.events.push_back(StreamEvent::Writable {
                stream,
                consumed,
                limit,
            });
        }
        self.queue(stream);
        Ok(())
    }

    pub(super) fn on_max_data(&mut self, max: u64) {
        if max > self.sent_limit {
            self.sent_limit = max;
        }
    }

    /// The call that a frame names, opened if the peer may open it; `None` for one that is over.
    fn lanes_for_frame(&mut self, stream: StreamId) -> Result<Option<&mut Lanes>, Violation> {
        let call = stream.call().0;
        if !self.calls.contains_key(&call) {
            if call < self.next_call {
                return Ok(None);
            }
            if self.side == Side::Controller {
                return Err("frame for a call that was not opened");
            }
            if self.calls.len() >= limits::CALLS_TOLERATED {
                return Err("too many calls");
            }
            // Datagrams may arrive out of order: numbers in between are open too.
            if call - self.next_call >= limits::CALLS_TOLERATED as u32 {
                return Err("call number far ahead");
            }
            for between in self.next_call..=call {
                self.calls.insert(between, Lanes::default());
            }
            self.next_call = call.checked_add(1).ok_or("call numbers used up")?;
        }
        Ok(self.calls.get_mut(&call))
    }

    fn half_for_frame(&mut self, stream: StreamId) -> Result<Option<&mut RecvHalf>, Violation> {
        if !self.may_receive(stream.lane()) {
            return Err("bytes on a lane that does not exist");
        }
        let window = self.stream_window;
        let lanes = self.lanes_for_frame(stream)?;
        Ok(lanes.map(|lanes| {
            lanes.recv[stream.lane() as usize].get_or_insert_with(|| RecvHalf::new(window))
        }))
    }

    fn recv_half(&mut self, stream: StreamId) -> Option<&mut RecvHalf> {
        self.calls.get_mut(&stream.call().0)?.recv[stream.lane() as usize].as_mut()
    }

    fn send_half(&mut self, stream: StreamId) -> Option<&mut SendHalf> {
        self.calls.get_mut(&stream.call().0)?.send[stream.lane() as usize].as_mut()
    }

    fn return_session_credit(&mut self, bytes: u64) {
        self.consumed += bytes;
        if self.consumed + self.session_window >= self.granted + self.session_window / 4
            && self.received >= limits::INITIAL_SESSION_CREDIT / 8
        {
            self.session_credit_owed = true;
        }
    }

    fn forget_if_done(&mut self, call: CallId) {
        let receives = [
            self.may_receive(Lane::Control),
            self.may_receive(Lane::Main),
            self.may_receive(Lane::Error),
        ];
        let Some(lanes) = self.calls.get(&call.0) else {
            return;
        };
        let received = lanes
            .recv
            .iter()
            .zip(receives)
            .all(|(half, may)| !may || half.as_ref().is_some_and(RecvHalf::is_done));
        let sent = lanes.send.iter().flatten().all(SendHalf::is_done);
        if lanes.released && received && sent {
            self.calls.remove(&call.0);
            self.events.push_back(StreamEvent::CallEnded { call });
        }
    }

    // What goes out.

    /// Puts a stream at the end of the queue if it has anything to send.
    fn queue(&mut self, stream: StreamId) {
        let credit = self.sent_limit - self.sent;
        if self
            .send_half(stream)
            .is_some_and(|half| half.is_sendable(credit.max(1)) && half.mark_queued())
        {
            self.sendable.push_back(stream);
        }
    }

    /// Whether STREAM frames can be built now.
    pub(super) fn can_send(&mut self) -> bool {
        let credit = self.sent_limit - self.sent;
        // Streams that wait for the session's credit stay queued; they are few, one per open lane.
        (0..self.sendable.len()).any(|index| {
            let stream = self.sendable[index];
            self.send_half(stream)
                .is_some_and(|half| half.is_sendable(credit))
        })
    }

    /// Hands out the next piece for a STREAM frame; `space` tells how many data bytes fit a frame of a
    /// given stream at a given offset. `append` receives the half to copy from.
    pub(super) fn next_chunk(
        &mut self,
        space: impl Fn(StreamId, u64) -> usize,
    ) -> Option<(StreamId, send::Chunk)> {
        for _ in 0..self.sendable.len() {
            let stream = self.sendable.pop_front()?;
            let credit = self.sent_limit - self.sent;
            let Some(half) = self.send_half(stream) else {
                continue;
            };
            half.unmark_queued();
            let room = space(stream, half.next_offset());
            let taken = half.take_chunk(room, credit);
            if let Some((_, fresh)) = &taken {
                self.sent += fresh;
            }
            self.queue(stream);
            if let Some((chunk, _)) = taken {
                return Some((stream, chunk));
            }
        }
        None
    }

    /// Copies the bytes of a piece that [`next_chunk`](Self::next_chunk) handed out.
    pub(super) fn copy(&self, stream: StreamId, chunk: &send::Chunk, out: &mut Vec<u8>) {
        if let Some(half) = self
            .calls
            .get(&stream.call().0)
            .and_then(|lanes| lanes.send[stream.lane() as usize].as_ref())
        {
            half.copy(&chunk.range, out);
        }
    }

    /// Whether a frame about credit, RESET or STOP is owed.
    pub(super) fn owes(&self) -> bool {
        !self.owing.is_empty() || self.session_credit_owed
    }

    /// The next MAX_DATA owed.
    pub(super) fn take_max_data(&mut self) -> Option<u64> {
        std::mem::take(&mut self.session_credit_owed).then(|| {
            self.granted = self.granted.max(self.consumed + self.session_window);
            self.granted
        })
    }

    /// The next frame owed for a stream.
    pub(super) fn take_frame(&mut self) -> Option<StreamFrame> {
        while let Some(&stream) = self.owing.front() {
            if let Some(lanes) = self.calls.get_mut(&stream.call().0) {
                let lane = stream.lane() as usize;
                if let Some(code) = lanes.stop[lane].take() {
                    return Some(StreamFrame::Stop { stream, code });
                }
                if let Some((code, final_size)) =
                    lanes.send[lane].as_mut().and_then(SendHalf::take_reset)
                {
                    return Some(StreamFrame::Reset {
                        stream,
                        code,
                        final_size,
                    });
                }
                if let Some(half) = lanes.recv[lane].as_mut().filter(|half| half.wants_credit()) {
                    let (consumed, max) = half.grant();
                    return Some(StreamFrame::Credit {
                        stream,
                        consumed,
                        max,
                    });
                }
            }
            self.owing.pop_front();
        }
        None
    }

    // What became of it.

    /// The first bytes of a stream travelled inside INIT, and the agent has taken them.
    pub(super) fn on_early_accepted(&mut self, stream: StreamId, bytes: u64) {
        if let Some(half) = self.send_half(stream) {
            self.sent += half.skip_sent(bytes);
            self.on_chunk_acked(
                stream,
                &send::Chunk {
                    range: 0..bytes,
                    fin: false,
                },
            );
        }
    }

    pub(super) fn on_chunk_acked(&mut self, stream: StreamId, chunk: &send::Chunk) {
        if let Some(half) = self.send_half(stream)
            && half.on_acked(chunk.range.clone(), chunk.fin)
        {
            self.events.push_back(StreamEvent::Delivered { stream });
            self.forget_if_done(stream.call());
        }
    }

    pub(super) fn on_chunk_lost(&mut self, stream: StreamId, chunk: &send::Chunk) {
        if let Some(half) = self.send_half(stream) {
            half.on_lost(chunk.range.clone(), chunk.fin);
            self.queue(stream);
        }
    }

    pub(super) fn on_frame_acked(&mut self, frame: StreamFrame) {
        if let StreamFrame::Reset { stream, .. } = frame
            && let Some(half) = self.send_half(stream)
        {
            half.on_reset_acked();
            self.forget_if_done(stream.call());
        }
    }

    pub(super) fn on_frame_lost(&mut self, frame: StreamFrame) {
        match frame {
            StreamFrame::Credit { stream, max, .. } => {
                // Only the newest grant matters.
                if let Some(half) = self.recv_half(stream)
                    && half.on_grant_lost(max)
                {
                    self.owing.push_back(stream);
                }
            }
            StreamFrame::Reset { stream, .. } => {
                if let Some(half) = self.send_half(stream) {
                    half.on_reset_lost();
                    self.owing.push_back(stream);
                }
            }
            StreamFrame::Stop { stream, code } => {
                if let Some(lanes) = self.calls.get_mut(&stream.call().0)
                    && lanes.recv[stream.lane() as usize]
                        .as_ref()
                        .is_some_and(|half| !half.has_final_size())
                {
                    lanes.stop[stream.lane() as usize] = Some(code);
                    self.owing.push_back(stream);
                }
            }
        }
    }

    pub(super) fn on_max_data_lost(&mut self) {
        self.session_credit_owed = true;
    }

    /// The next thing for the application.
    pub(super) fn poll_event(&mut self) -> Option<StreamEvent> {
        while let Some(&stream) = self.eventful.front() {
            let released = self
                .calls
                .get(&stream.call().0)
                .is_none_or(|lanes| lanes.released);
            if !released && let Some(half) = self.recv_half(stream) {
                if let Some((offset, data, fin)) = half.take_ready() {
                    return Some(StreamEvent::Data {
                        stream,
                        offset,
                        data,
                        fin,
                    });
                }
                if let Some(code) = half.take_reset() {
                    let freed = half.take_discarded();
                    self.return_session_credit(freed);
                    return Some(StreamEvent::Reset { stream, code });
                }
            }
            self.eventful.pop_front();
            self.forget_if_done(stream.call());
        }
        self.events.pop_front()
    }

    pub(super) fn has_events(&self) -> bool {
        !self.eventful.is_empty() || !self.events.is_empty()
    }
}
