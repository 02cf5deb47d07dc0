//! Received frames about streams.
//!
//! Every frame is checked against credit, direction and the order of calls. A late frame for a call that
//! has ended is no error and is ignored.

use super::{SendHalf, Streams};
use crate::session::{Fault, StreamEvent, limits};
use crate::wire::StreamId;

impl Streams {
    pub(in crate::session) fn on_stream(
        &mut self,
        stream: StreamId,
        offset: u64,
        data: &[u8],
        fin: bool,
    ) -> Result<(), Fault> {
        let left = (self.allowance.gap_bytes, self.allowance.ready_bytes);
        let Some(half) = self.half_for_frame(stream)? else {
            return Ok(());
        };
        let before = half.bytes();
        let grown = half.on_stream(offset, data, fin, left);
        let after = half.bytes();
        self.on_bytes(before, after);
        let Some(grown) = grown? else {
            self.refused = true;
            return Ok(());
        };
        self.after_receipt(stream, grown)
    }

    pub(in crate::session) fn on_reset(
        &mut self,
        stream: StreamId,
        code: u64,
        final_size: u64,
    ) -> Result<(), Fault> {
        let Some(half) = self.half_for_frame(stream)? else {
            return Ok(());
        };
        let before = half.bytes();
        let grown = half.on_reset(code, final_size)?;
        let after = half.bytes();
        self.on_bytes(before, after);
        self.after_receipt(stream, grown)
    }

    /// Counts received bytes against the session's credit and queues the stream for credit and events.
    fn after_receipt(&mut self, stream: StreamId, grown: u64) -> Result<(), Fault> {
        self.received = self.received.saturating_add(grown);
        if self.received > self.granted {
            return Err(Fault::SessionCredit);
        }
        let allowed = self.allowance.window_growth / limits::OPENING_SHARE;
        let Some(half) = self.recv_half(stream) else {
            return Ok(());
        };
        let opened = half.open_window(allowed);
        let discarded = half.take_discarded();
        let wants_credit = half.wants_credit();
        let readable = half.has_event() && half.mark_readable();
        if wants_credit {
            self.pending.add(stream);
        }
        if readable {
            self.readable.push_back(stream);
        }
        self.window_growth += opened;
        self.window_opened += opened;
        self.allowance.window_growth -= opened;
        self.return_session_credit(discarded);
        self.forget_if_done(stream.call());
        Ok(())
    }

    pub(in crate::session) fn on_stop(&mut self, stream: StreamId, code: u64) -> Result<(), Fault> {
        if !self.may_send(stream.lane()) {
            return Err(Fault::Direction);
        }
        let Some(lanes) = self.lanes_for_frame(stream)? else {
            if !self.refused {
                self.end_forgotten(stream);
            }
            return Ok(());
        };
        let half = lanes.send[stream.lane() as usize].get_or_insert_with(SendHalf::new);
        if half.reset(code) {
            let released = lanes.released;
            self.pending.add(stream);
            if !released {
                self.events.push_back(StreamEvent::Stopped { stream, code });
            }
        }
        Ok(())
    }

    pub(in crate::session) fn on_max_stream_data(
        &mut self,
        stream: StreamId,
        consumed: u64,
        max: u64,
    ) -> Result<(), Fault> {
        if !self.may_send(stream.lane()) {
            return Err(Fault::Direction);
        }
        let Some(lanes) = self.lanes_for_frame(stream)? else {
            return Ok(());
        };
        let half = lanes.send[stream.lane() as usize].get_or_insert_with(SendHalf::new);
        if half.on_credit(consumed, max) && !lanes.released && half.mark_writable() {
            self.writable.push_back(stream);
        }
        self.queue(stream);
        Ok(())
    }

    pub(in crate::session) fn on_max_data(&mut self, max: u64) {
        if max > self.sent_limit {
            self.sent_limit = max;
        }
    }
}
