//! The sending half of a stream.
//!
//! ```text
//!   open --fin written--> finishing --all acknowledged--> done
//!     \------reset------> resetting --reset acknowledged--^
//! ```
//!
//! Keeps every written byte until it is acknowledged. Invariants: what is sent lies below the peer's
//! credit; bytes are retransmitted, never packets; the final size, once told, does not change.

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

/// What the next STREAM frame carries.
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
    /// End of what was written.
    written: u64,
    /// End of what was sent at least once.
    sent: u64,
    /// Everything below is acknowledged and dropped.
    base: u64,
    acked: Intervals,
    lost: Intervals,
    /// The peer's credit.
    limit: u64,
    /// The peer has disposed of everything below.
    consumed: u64,
    /// Stands in the queue of sendable streams.
    queued: bool,
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
        }
    }

    /// Remembers that the half stands in the queue; false when it did already.
    pub(in crate::session) fn mark_queued(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    pub(in crate::session) fn unmark_queued(&mut self) {
        self.queued = false;
    }

    /// Where the next piece will begin.
    pub(in crate::session) fn next_offset(&self) -> u64 {
        self.lost.first().map_or(self.sent, |lost| lost.start)
    }

    /// Neither finished nor given up.
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

    /// Gives up. Returns false when the half was over already.
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

    /// The RESET to send now, if one is due: code and final size.
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
            _ => None,
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

    /// The peer granted credit. Returns whether anything changed.
    pub(in crate::session) fn on_credit(&mut self, consumed: u64, limit: u64) -> bool {
        let news = limit > self.limit || consumed > self.consumed;
        self.limit = self.limit.max(limit);
        self.consumed = self.consumed.max(consumed);
        news
    }

    pub(in crate::session) const fn credit(&self) -> (u64, u64) {
        (self.consumed, self.limit)
    }

    /// Something of this half could go into a datagram, given the session's credit for new bytes.
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

    /// The next bytes to put into a frame of at most `space` data bytes: lost ones first, then new
    /// ones. The second value is how much of the session's credit they take.
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
            _ => false,
        };
        Chunk { range, fin }
    }

    /// Appends the bytes of a range that is still unacknowledged.
    pub(in crate::session) fn copy(&self, range: &Range<u64>, out: &mut Vec<u8>) {
        let mut at = range.start;
        let mut index = self
            .chunks
            .partition_point(|(offset, _)| *offset <= at)
            .saturating_sub(1);
        while at < range.end {
            let (offset, data) = &self.chunks[index];
            let from = at - offset;
            let until = (range.end - offset).min(data.len() as u64);
            out.extend_from_slice(&data[as_index(from)..as_index(until)]);
            at = offset + until;
            index += 1;
        }
    }

    /// The first bytes were sent by other means. Returns how many were not counted as sent before.
    pub(in crate::session) fn skip_sent(&mut self, bytes: u64) -> u64 {
        let fresh = bytes.saturating_sub(self.sent);
        self.sent = self.sent.max(bytes);
        // Given up before the handshake ended: the peer has these bytes, so the half ends behind them.
        if let State::Resetting { final_size, .. } = &mut self.state {
            *final_size = self.sent;
        }
        fresh
    }

    /// Part of what was acknowledged may have been so before. Returns true when with this the whole
    /// half is done.
    pub(in crate::session) fn on_acked(&mut self, range: Range<u64>, fin: bool) -> bool {
        self.lost.remove(range.clone());
        if range.end > self.base {
            self.acked.insert(range.start.max(self.base)..range.end);
        }
        if let Some(first) = self.acked.first().filter(|first| first.start <= self.base) {
            self.base = first.end;
            self.acked.remove(first);
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

    /// What of it is not acknowledged by another packet must be sent again.
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
            // The end rides on the last byte, or alone once all bytes are on their way.
            *sent = false;
        }
    }

    /// Nothing more will be sent, and the peer knows.
    pub(in crate::session) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

fn as_index(offset: u64) -> usize {
    usize::try_from(offset).expect("offsets within a chunk fit memory")
}
