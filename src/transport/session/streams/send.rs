//! The sending half of a stream.
//!
//! ```text
//!   open --fin written--> finishing --all acknowledged--> done
//!     \------reset------> resetting --reset acknowledged--^
//! ```
//!
//! Keeps every written byte until it is acknowledged. Invariants: sent bytes lie below the peer's limit;
//! bytes are retransmitted, never packets; a final size that was sent does not change.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::intervals::Intervals;
use crate::session::limits;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    Finishing {
        sent: bool,
        acked: bool,
    },
    Resetting {
        code: u64,
        final_size: u64,
        pending: bool,
    },
    Done,
}

/// Content of a STREAM frame: a range of offsets, and true if the stream ends after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::session) struct Chunk {
    pub(in crate::session) range: Range<u64>,
    pub(in crate::session) fin: bool,
}

#[derive(Debug)]
pub(in crate::session) struct SendHalf {
    state: State,
    /// Unacknowledged bytes with their offsets, in order.
    chunks: VecDeque<(u64, Bytes)>,
    /// Offset after the last byte written.
    written: u64,
    /// Offset after the last byte sent at least once.
    sent: u64,
    /// Offset below which every byte is acknowledged and dropped.
    base: u64,
    /// Acknowledged ranges above `base`.
    acked: Intervals,
    /// Ranges to send again.
    lost: Intervals,
    /// The peer's limit: the first offset that may not be sent.
    limit: u64,
    /// Offset below which the peer has consumed every byte.
    consumed: u64,
    /// True if the half is in the queue of sendable streams.
    queued: bool,
    /// True if the half is in the queue of writable streams.
    writable: bool,
}

impl SendHalf {
    pub(in crate::session) fn new() -> Self {
        Self {
            state: State::Open,
            chunks: VecDeque::new(),
            written: 0,
            sent: 0,
            base: 0,
            acked: Intervals::default(),
            lost: Intervals::default(),
            limit: limits::INITIAL_STREAM_CREDIT,
            consumed: 0,
            queued: false,
            writable: false,
        }
    }

    /// Records that the half is in the queue; returns false if it was already.
    pub(in crate::session) fn mark_queued(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    pub(in crate::session) fn unmark_queued(&mut self) {
        self.queued = false;
    }

    /// Returns the offset of the next chunk.
    pub(in crate::session) fn next_offset(&self) -> u64 {
        self.lost.first().map_or(self.sent, |lost| lost.start)
    }

    /// Returns true if the half is neither finished nor reset.
    pub(in crate::session) fn is_unfinished(&self) -> bool {
        self.state == State::Open
    }

    pub(in crate::session) fn write(&mut self, data: Bytes, fin: bool) {
        if self.state != State::Open {
            return;
        }
        if !data.is_empty() {
            let offset = self.written;
            self.written += data.len() as u64;
            self.chunks.push_back((offset, data));
        }
        if fin {
            self.state = State::Finishing {
                sent: false,
                acked: false,
            };
        }
    }

    /// Resets the half; returns false if it was reset or done already.
    pub(in crate::session) fn reset(&mut self, code: u64) -> bool {
        if matches!(self.state, State::Resetting { .. } | State::Done) {
            return false;
        }
        self.state = State::Resetting {
            code,
            final_size: self.sent,
            pending: true,
        };
        self.chunks.clear();
        self.lost.clear();
        true
    }

    /// Returns code and final size of the RESET to send now, if one is pending.
    pub(in crate::session) fn take_reset(&mut self) -> Option<(u64, u64)> {
        match &mut self.state {
            State::Resetting {
                code,
                final_size,
                pending,
            } if *pending => {
                *pending = false;
                Some((*code, *final_size))
            }
            State::Open | State::Finishing { .. } | State::Resetting { .. } | State::Done => None,
        }
    }

    pub(in crate::session) fn on_reset_acked(&mut self) {
        if matches!(self.state, State::Resetting { .. }) {
            self.state = State::Done;
        }
    }

    pub(in crate::session) fn on_reset_lost(&mut self) {
        if let State::Resetting { pending, .. } = &mut self.state {
            *pending = true;
        }
    }

    /// Handles a grant of the peer; returns true if anything changed.
    pub(in crate::session) fn on_credit(&mut self, consumed: u64, limit: u64) -> bool {
        let changed = limit > self.limit || consumed > self.consumed;
        self.limit = self.limit.max(limit);
        self.consumed = self.consumed.max(consumed);
        changed
    }

    /// Records that the half is in the queue of writable streams; returns false if it was already.
    pub(in crate::session) fn mark_writable(&mut self) -> bool {
        !std::mem::replace(&mut self.writable, true)
    }

    /// Returns consumption and limit for the application, taken from the queue of writable streams.
    pub(in crate::session) const fn take_credit(&mut self) -> (u64, u64) {
        self.writable = false;
        (self.consumed, self.limit)
    }

    /// Returns true if the half has anything to send, given the session's credit for new bytes.
    pub(in crate::session) fn is_sendable(&self, session_credit: u64) -> bool {
        match self.state {
            State::Open => {
                !self.lost.is_empty() || (self.fresh_end() > self.sent && session_credit > 0)
            }
            State::Finishing { sent, .. } => {
                !self.lost.is_empty()
                    || (self.fresh_end() > self.sent && session_credit > 0)
                    || (!sent && self.sent == self.written)
            }
            State::Resetting { pending, .. } => pending,
            State::Done => false,
        }
    }

    fn fresh_end(&self) -> u64 {
        self.written.min(self.limit)
    }

    /// Takes the next chunk for a frame of at most `space` data bytes: lost bytes first, then new ones. The
    /// second value is the session's credit that the chunk uses.
    pub(in crate::session) fn take_chunk(
        &mut self,
        space: usize,
        session_credit: u64,
    ) -> Option<(Chunk, u64)> {
        if !matches!(self.state, State::Open | State::Finishing { .. }) {
            return None;
        }
        let space = space as u64;
        if let Some(lost) = self.lost.first() {
            if space == 0 {
                return None;
            }
            let range = lost.start..lost.end.min(lost.start.saturating_add(space));
            self.lost.remove(range.clone());
            return Some((self.chunk(range), 0));
        }
        let end = self
            .fresh_end()
            .min(self.sent.saturating_add(space.min(session_credit)))
            .max(self.sent);
        let range = self.sent..end;
        let fin_due =
            matches!(self.state, State::Finishing { sent: false, .. }) && end == self.written;
        if range.is_empty() && !fin_due {
            return None;
        }
        let fresh = end - self.sent;
        self.sent = end;
        Some((self.chunk(range), fresh))
    }

    fn chunk(&mut self, range: Range<u64>) -> Chunk {
        let at_end = range.end == self.written;
        let fin = match &mut self.state {
            State::Finishing { sent, acked } if at_end && !*acked => {
                *sent = true;
                true
            }
            State::Open | State::Finishing { .. } | State::Resetting { .. } | State::Done => false,
        };
        Chunk { range, fin }
    }

    /// Appends the bytes of a range, none of which is acknowledged, to `out`, apart from those of its last piece, which
    /// are returned.
    pub(in crate::session) fn copy(&self, range: &Range<u64>, out: &mut Vec<u8>) -> Bytes {
        let mut at = range.start;
        let mut index = self
            .chunks
            .partition_point(|(offset, _)| *offset <= at)
            .saturating_sub(1);
        while at < range.end {
            let (offset, data) = &self.chunks[index];
            let from = at - offset;
            let until = (range.end - offset).min(data.len() as u64);
            at = offset + until;
            let piece = as_index(from)..as_index(until);
            if at == range.end {
                return data.slice(piece);
            }
            out.extend_from_slice(&data[piece]);
            index += 1;
        }
        Bytes::new()
    }

    /// Records that the first `bytes` were sent as early data; returns the number of those that did not count
    /// as sent before.
    pub(in crate::session) fn skip_sent(&mut self, bytes: u64) -> u64 {
        let fresh = bytes.saturating_sub(self.sent);
        self.sent = self.sent.max(bytes);
        // The half was reset before the handshake ended. The peer has these bytes, so the final size is at
        // least their number.
        if let State::Resetting { final_size, .. } = &mut self.state {
            *final_size = self.sent;
        }
        fresh
    }

    /// Handles the acknowledgement of a range, parts of which may have been acknowledged before; returns true
    /// if this completes the half.
    pub(in crate::session) fn on_acked(&mut self, range: Range<u64>, fin: bool) -> bool {
        self.lost.remove(range.clone());
        let before = self.base;
        if range.start <= self.base && self.acked.is_empty() {
            // In order, as nearly all are: the set is not needed.
            self.base = self.base.max(range.end);
        } else if range.end > self.base {
            self.acked.insert(range.start.max(self.base)..range.end);
            if let Some(first) = self.acked.first().filter(|first| first.start <= self.base) {
                self.base = first.end;
                self.acked.remove(first);
            }
        }
        if self.base > before {
            while let Some((offset, data)) = self.chunks.front()
                && offset + data.len() as u64 <= self.base
            {
                self.chunks.pop_front();
            }
        }
        if let State::Finishing { acked, .. } = &mut self.state {
            *acked |= fin;
            if *acked && self.base == self.written {
                self.state = State::Done;
                return true;
            }
        }
        false
    }

    /// Handles the loss of a range: bytes not acknowledged in another datagram are to be sent again.
    pub(in crate::session) fn on_lost(&mut self, range: Range<u64>, fin: bool) {
        if !matches!(self.state, State::Open | State::Finishing { .. }) {
            return;
        }
        for gap in self.acked.gaps(range.start.max(self.base)..range.end) {
            self.lost.insert(gap);
        }
        if let State::Finishing { sent, acked } = &mut self.state
            && fin
            && !*acked
        {
            // FIN is sent again with the last byte, or alone if no bytes are left to send.
            *sent = false;
        }
    }

    /// Returns true if the peer has acknowledged the end or the reset of the half.
    pub(in crate::session) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

fn as_index(offset: u64) -> usize {
    usize::try_from(offset).expect("offsets within a chunk fit memory")
}
