//! Frames to send for streams, and their acknowledgement or loss.
//!
//! Streams take turns (round robin), each until it has nothing to send or the batch of datagrams is full, so that the
//! receiver gets long runs of one stream from a fast sender, and no stream waits for long for a slow one. On each
//! stream, lost bytes are sent before new ones.

use bytes::Bytes;

use super::send::Chunk;
use super::{SendHalf, StreamFrame, Streams};
use crate::session::{StreamEvent, limits};
use crate::wire::limits::MAX_VARINT;
use crate::wire::{CallId, StreamId};

impl Streams {
    /// Puts a stream at the end of the queue if it has anything to send.
    pub(super) fn queue(&mut self, stream: StreamId) {
        if self.is_to_be_queued(stream) {
            self.sendable.push_back(stream);
        }
    }

    fn is_to_be_queued(&mut self, stream: StreamId) -> bool {
        let credit = self.credit();
        self.send_half(stream)
            .is_some_and(|half| half.is_sendable(credit.max(1)) && half.mark_queued())
    }

    /// Ends the turn of the stream that sent last.
    pub(in crate::session) fn begin_batch(&mut self) {
        if let Some(stream) = self.turn.take()
            && self.sendable.front() == Some(&stream)
        {
            self.sendable.rotate_left(1);
        }
    }

    /// Returns the number of new bytes that the session's credit still allows.
    fn credit(&self) -> u64 {
        self.sent_limit.saturating_sub(self.sent)
    }

    /// Returns true if there is a STREAM frame to send.
    pub(in crate::session) fn can_send(&mut self) -> bool {
        let credit = self.credit();
        // Streams blocked by the session's credit stay queued; there are few, at most one per open lane.
        (0..self.sendable.len()).any(|index| {
            let stream = self.sendable[index];
            self.send_half(stream)
                .is_some_and(|half| half.is_sendable(credit))
        })
    }

    /// Returns the next chunk for a STREAM frame. `space` returns the number of data bytes that fit a frame
    /// of a given stream at a given offset.
    pub(in crate::session) fn next_chunk(
        &mut self,
        space: impl Fn(StreamId, u64) -> usize,
    ) -> Option<(StreamId, Chunk)> {
        for _ in 0..self.sendable.len() {
            let stream = self.sendable.pop_front()?;
            let credit = self.credit();
            let Some(half) = self.send_half(stream) else {
                continue;
            };
            half.unmark_queued();
            let space = space(stream, half.next_offset());
            let taken = half.take_chunk(space, credit);
            let fresh = taken.as_ref().map_or(0, |(_, fresh)| *fresh);
            let left = credit.saturating_sub(fresh);
            let is_queued = half.is_sendable(left.max(1)) && half.mark_queued();
            self.sent = self.sent.saturating_add(fresh);
            let Some((chunk, _)) = taken else {
                if is_queued {
                    self.sendable.push_back(stream);
                }
                continue;
            };
            if is_queued {
                self.sendable.push_front(stream);
            }
            self.turn = Some(stream);
            return Some((stream, chunk));
        }
        None
    }

    /// Copies the bytes of a chunk that [`next_chunk`](Self::next_chunk) returned, apart from those of its last piece,
    /// which are returned.
    pub(in crate::session) fn copy(
        &self,
        stream: StreamId,
        chunk: &Chunk,
        out: &mut Vec<u8>,
    ) -> Bytes {
        self.calls
            .get(&stream.call().0)
            .and_then(|lanes| lanes.send[stream.lane() as usize].as_ref())
            .map_or_else(Bytes::new, |half| half.copy(&chunk.range, out))
    }

    /// Returns true if a MAX_DATA, MAX_STREAM_DATA, RESET or STOP frame is to be sent.
    pub(in crate::session) fn has_pending_frames(&self) -> bool {
        !self.pending.is_empty() || self.max_data_pending || !self.forgotten.is_empty()
    }

    /// Returns the limit of the MAX_DATA to send, if one is pending.
    pub(in crate::session) fn take_max_data(&mut self) -> Option<u64> {
        std::mem::take(&mut self.max_data_pending).then(|| {
            let window = self.credit_window();
            self.granted = self
                .granted
                .max(self.consumed.saturating_add(window))
                .min(MAX_VARINT);
            self.granted
        })
    }

    /// Returns the next pending frame of a stream.
    pub(in crate::session) fn take_frame(&mut self) -> Option<StreamFrame> {
        if let Some(stream) = self.forgotten.pop_front() {
            return Some(StreamFrame::Reset {
                stream,
                code: 0,
                final_size: 0,
            });
        }
        while let Some(&stream) = self.pending.front() {
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
            self.pending.pop_front();
        }
        None
    }

    /// Schedules a RESET for a lane of a forgotten call that the peer waits to end. Every used lane of the
    /// call has ended and the peer knows it, so this lane was never used. The RESET is repeated if it is
    /// lost, or else the peer would keep the call for ever.
    pub(super) fn end_forgotten(&mut self, stream: StreamId) {
        if self.forgotten.len() < limits::CALLS_TOLERATED && !self.forgotten.contains(&stream) {
            self.forgotten.push_back(stream);
        }
    }

    // Acknowledgement and loss.

    /// Handles the acceptance of early data: the first bytes of a stream were sent in the INIT.
    pub(in crate::session) fn on_early_accepted(&mut self, stream: StreamId, bytes: u64) {
        if let Some(half) = self.send_half(stream) {
            let fresh = half.skip_sent(bytes);
            self.sent = self.sent.saturating_add(fresh);
            self.on_chunk_acked(
                stream,
                &Chunk {
                    range: 0..bytes,
                    fin: false,
                },
            );
        }
    }

    pub(in crate::session) fn on_chunk_acked(&mut self, stream: StreamId, chunk: &Chunk) {
        if let Some(half) = self.send_half(stream)
            && half.on_acked(chunk.range.clone(), chunk.fin)
        {
            if !self.is_released(stream.call()) {
                self.events.push_back(StreamEvent::Delivered { stream });
            }
            self.forget_if_done(stream.call());
        }
    }

    pub(in crate::session) fn on_chunk_lost(&mut self, stream: StreamId, chunk: &Chunk) {
        if let Some(half) = self.send_half(stream) {
            half.on_lost(chunk.range.clone(), chunk.fin);
            self.queue(stream);
        }
    }

    pub(in crate::session) fn on_frame_acked(&mut self, frame: StreamFrame) {
        if let StreamFrame::Reset { stream, .. } = frame
            && let Some(half) = self.send_half(stream)
        {
            half.on_reset_acked();
            self.forget_if_done(stream.call());
        }
    }

    pub(in crate::session) fn on_frame_lost(&mut self, frame: StreamFrame) {
        match frame {
            StreamFrame::Credit { stream, max, .. } => {
                // Only the newest grant is sent again.
                if let Some(half) = self.recv_half(stream)
                    && half.on_grant_lost(max)
                {
                    self.pending.add(stream);
                }
            }
            StreamFrame::Reset { stream, .. } => {
                if let Some(half) = self.send_half(stream) {
                    half.on_reset_lost();
                    self.pending.add(stream);
                } else {
                    self.end_forgotten(stream);
                }
            }
            StreamFrame::Stop { stream, code } => {
                if let Some(lanes) = self.calls.get_mut(&stream.call().0)
                    && lanes.recv[stream.lane() as usize]
                        .as_ref()
                        .is_some_and(|half| !half.has_final_size())
                {
                    lanes.stop[stream.lane() as usize] = Some(code);
                    self.pending.add(stream);
                }
            }
        }
    }

    pub(in crate::session) fn on_max_data_lost(&mut self) {
        self.max_data_pending = true;
    }

    /// Returns the next event for the application.
    pub(in crate::session) fn poll_event(&mut self) -> Option<StreamEvent> {
        if let Some(call) = self.ended.pop_front() {
            return Some(StreamEvent::CallEnded { call });
        }
        while let Some(stream) = self.readable.pop_front() {
            if let Some(event) = self.read(stream) {
                return Some(event);
            }
        }
        while let Some(stream) = self.writable.pop_front() {
            if let Some(half) = self.send_half(stream) {
                let (consumed, limit) = half.take_credit();
                return Some(StreamEvent::Writable {
                    stream,
                    consumed,
                    limit,
                });
            }
        }
        self.events.pop_front()
    }

    /// Returns the next event of a stream that was taken from the readable ones; puts it back if there are more.
    fn read(&mut self, stream: StreamId) -> Option<StreamEvent> {
        let half = self.recv_half(stream)?;
        half.unmark_readable();
        let before = half.bytes();
        let event = if let Some((offset, data, fin)) = half.take_ready() {
            StreamEvent::Data {
                stream,
                offset,
                data,
                fin,
            }
        } else {
            let code = half.take_reset()?;
            StreamEvent::Reset { stream, code }
        };
        let (freed, after) = (half.take_discarded(), half.bytes());
        if half.has_event() && half.mark_readable() {
            self.readable.push_back(stream);
        }
        self.on_bytes(before, after);
        self.return_session_credit(freed);
        Some(event)
    }

    /// Returns true if the application has released the call, or the call has ended.
    fn is_released(&self, call: CallId) -> bool {
        self.calls.get(&call.0).is_none_or(|lanes| lanes.released)
    }

    pub(in crate::session) fn has_events(&self) -> bool {
        !(self.readable.is_empty()
            && self.writable.is_empty()
            && self.ended.is_empty()
            && self.events.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::crypto::SecretKey;
    use crate::rng::Rng;
    use crate::session::Config;
    use crate::session::streams::Side;
    use crate::wire::Lane;

    #[test]
    fn a_released_call_ends_the_lane_that_a_controller_has_not_used_without_being_asked() {
        let config = Config::new(SecretKey::generate(&mut Rng::from_seed([1; 32])), None);
        let mut streams = Streams::new(Side::Controller, &config);
        let call = CallId(0);
        streams.write(
            StreamId::new(call, Lane::Control),
            Bytes::from_static(b"x"),
            true,
        );
        streams.release(call);
        let frames = std::iter::from_fn(|| streams.take_frame());
        let resets = frames.filter(|frame| matches!(frame, StreamFrame::Reset { .. }));
        let unused = StreamFrame::Reset {
            stream: StreamId::new(call, Lane::Data),
            code: 0,
            final_size: 0,
        };
        assert_eq!(resets.collect::<Vec<_>>(), [unused]);
    }
}
