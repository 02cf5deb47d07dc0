//! The receiving half of a stream: reassembly and flow control.
//!
//! Invariants: at most `window` bytes beyond the consumed ones are kept; a final size does not change; no
//! byte is delivered twice. Bytes in order are kept in one growing buffer, so that many datagrams make one
//! event; bytes out of order are kept as copies, in a bounded number of chunks.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::{Pace, Window};
use crate::session::{Fault, limits};
use crate::wire::limits::MAX_VARINT;

#[derive(Debug)]
pub(in crate::session) struct RecvHalf {
    /// Bytes in order that the application has not taken.
    ready: BytesMut,
    /// Offset of the next byte in order.
    next: u64,
    /// Chunks received beyond a gap, by offset; disjoint.
    beyond: BTreeMap<u64, BytesMut>,
    /// Memory of these chunks.
    gap_bytes: u64,
    /// The highest offset received, which counts against the session's credit.
    highest: u64,
    final_size: Option<u64>,
    fin: Fin,
    consumed: u64,
    /// The limit last granted, or the initial one.
    granted: u64,
    /// The value of `consumed` last reported to the peer.
    reported: u64,
    /// True if the last grant was lost and is to be sent again.
    regrant: bool,
    window: Window,
    /// True if the half is in the queue of readable streams.
    readable: bool,
    /// True if the application wants no more bytes: they are counted and discarded.
    discarding: bool,
    reset: Option<u64>,
}

/// Progress of the FIN of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fin {
    /// No STREAM frame with FIN was received, or a RESET has taken its place.
    Absent,
    Received,
    /// The application has received the end of the stream.
    Delivered,
}

impl RecvHalf {
    pub(in crate::session) fn new(window: Window) -> Self {
        Self {
            ready: BytesMut::new(),
            next: 0,
            beyond: BTreeMap::new(),
            gap_bytes: 0,
            highest: 0,
            final_size: None,
            fin: Fin::Absent,
            consumed: 0,
            granted: limits::INITIAL_STREAM_CREDIT,
            reported: 0,
            regrant: false,
            window,
            readable: false,
            discarding: false,
            reset: None,
        }
    }

    /// Records that the half is in the queue of readable streams; returns false if it was already.
    pub(in crate::session) fn mark_readable(&mut self) -> bool {
        !std::mem::replace(&mut self.readable, true)
    }

    pub(in crate::session) const fn unmark_readable(&mut self) {
        self.readable = false;
    }

    /// Returns the memory of the chunks beyond gaps, and of the bytes in order.
    pub(in crate::session) fn bytes(&self) -> (u64, u64) {
        (self.gap_bytes, self.ready.len() as u64)
    }

    /// Handles a STREAM frame; returns the growth of the highest offset, or `None` if the frame needs more than what is
    /// `left` for bytes beyond gaps, or in order: it is then ignored as a whole.
    pub(in crate::session) fn on_stream(
        &mut self,
        offset: u64,
        data: &[u8],
        fin: bool,
        left: (u64, u64),
    ) -> Result<Option<u64>, Fault> {
        let end = offset.saturating_add(data.len() as u64);
        let is_kept = !self.discarding && self.reset.is_none() && !data.is_empty();
        let fits = if offset > self.next {
            data.len() as u64 + limits::GAP_OVERHEAD <= left.0
        } else {
            end.saturating_sub(self.next) <= left.1
        };
        if is_kept && !fits {
            return Ok(None);
        }
        let grown = self.on_extent(end, fin.then_some(end))?;
        if fin && self.reset.is_none() && self.fin == Fin::Absent {
            self.fin = Fin::Received;
        }
        if self.discarding || self.reset.is_some() || end <= self.next {
            return Ok(Some(grown));
        }
        if offset <= self.next {
            let skip = usize::try_from(self.next - offset).expect("within the frame");
            self.append(&data[skip..]);
            self.join();
        } else {
            self.keep(offset, data)?;
        }
        Ok(Some(grown))
    }

    /// Checks the end of a frame and its final size against credit and earlier frames; returns the growth of
    /// the highest offset.
    fn on_extent(&mut self, end: u64, final_size: Option<u64>) -> Result<u64, Fault> {
        if end > self.granted {
            return Err(Fault::StreamCredit);
        }
        if self
            .final_size
            .is_some_and(|size| end > size || final_size.is_some_and(|now| now != size))
        {
            return Err(Fault::FinalSizeChanged);
        }
        if let Some(size) = final_size {
            if size < self.highest {
                return Err(Fault::FinalSizeTooLow);
            }
            self.final_size = Some(size);
        }
        let grown = end.saturating_sub(self.highest);
        self.highest = self.highest.max(end);
        Ok(grown)
    }

    /// Appends to the bytes in order. A stream whose window has grown takes memory in blocks, so that few datagrams need
    /// any. A block stays as long as a byte of it is held, so that the application holds at most two blocks more than the
    /// window: they are half of its growth, which is bounded.
    fn append(&mut self, data: &[u8]) {
        if self.ready.capacity() - self.ready.len() < data.len() {
            let block = (self.window.extra() / 4).min(limits::READY_BLOCK);
            // Fits: a block is a few hundred KiB.
            self.ready.reserve(data.len().max(block as usize));
        }
        self.ready.extend_from_slice(data);
        self.next += data.len() as u64;
    }

    /// Appends the chunks that have become contiguous to the bytes in order.
    fn join(&mut self) {
        while let Some(entry) = self.beyond.first_entry() {
            let (offset, end) = (*entry.key(), entry.key() + entry.get().len() as u64);
            if offset > self.next {
                break;
            }
            let chunk = entry.remove();
            self.gap_bytes -= chunk.len() as u64 + limits::GAP_OVERHEAD;
            if end > self.next {
                let skip = usize::try_from(self.next - offset).expect("within the chunk");
                self.append(&chunk[skip..]);
            }
        }
    }

    /// Keeps the parts of `data` that no other chunk covers.
    fn keep(&mut self, offset: u64, data: &[u8]) -> Result<(), Fault> {
        let end = offset.saturating_add(data.len() as u64);
        let mut at = offset;
        if let Some((&start, chunk)) = self.beyond.range(..=at).next_back() {
            at = at.max(start + chunk.len() as u64);
        }
        while at < end {
            let following = self
                .beyond
                .range(at..)
                .next()
                .map(|(&start, chunk)| (start, chunk.len() as u64));
            let until = following.map_or(end, |(start, _)| start.min(end));
            if at < until {
                let slice =
                    |offset_in: u64| usize::try_from(offset_in - offset).expect("within the frame");
                self.add_chunk(at, &data[slice(at)..slice(until)])?;
            }
            at = following.map_or(end, |(start, length)| start + length);
        }
        Ok(())
    }

    /// Keeps bytes that no chunk covers, in the chunk that they continue if it is small.
    fn add_chunk(&mut self, at: u64, data: &[u8]) -> Result<(), Fault> {
        let before = self.beyond.range_mut(..at).next_back();
        let continued = before.filter(|(start, chunk)| {
            **start + chunk.len() as u64 == at && chunk.len() < limits::GAP_CHUNK
        });
        self.gap_bytes += data.len() as u64;
        if let Some((_, chunk)) = continued {
            chunk.extend_from_slice(data);
            return Ok(());
        }
        if self.beyond.len() >= self.window.gaps() {
            return Err(Fault::Gaps);
        }
        self.gap_bytes += limits::GAP_OVERHEAD;
        self.beyond.insert(at, BytesMut::from(data));
        Ok(())
    }

    /// Handles a RESET; returns the growth of the highest offset. The data is not complete, even if every byte
    /// below the final size has arrived: only FIN and all bytes before it make the RESET void.
    pub(in crate::session) fn on_reset(
        &mut self,
        code: u64,
        final_size: u64,
    ) -> Result<u64, Fault> {
        let grown = self.on_extent(final_size, Some(final_size))?;
        let complete = self.fin != Fin::Absent && self.next == final_size;
        if !complete && self.reset.is_none() {
            self.reset = Some(code);
            self.fin = Fin::Absent;
            self.clear_beyond();
        }
        Ok(grown)
    }

    /// Takes the bytes in order, with their offset and whether the stream ends after them.
    pub(in crate::session) fn take_ready(&mut self) -> Option<(u64, Bytes, bool)> {
        if self.discarding {
            return None;
        }
        let fin = self.is_fin_due();
        if self.ready.is_empty() && !fin {
            return None;
        }
        if fin {
            self.fin = Fin::Delivered;
        }
        let data = self.ready.split().freeze();
        if self.window.extra() == 0 {
            self.ready = BytesMut::new();
        }
        Some((self.next - data.len() as u64, data, fin))
    }

    /// Returns the code of the peer's RESET once, after the bytes in order before it.
    pub(in crate::session) fn take_reset(&mut self) -> Option<u64> {
        let code = self.reset.filter(|_| !self.discarding)?;
        self.discarding = true;
        Some(code)
    }

    pub(in crate::session) fn has_event(&self) -> bool {
        !self.discarding && (!self.ready.is_empty() || self.reset.is_some() || self.is_fin_due())
    }

    /// Returns true if the end of the stream has been reached and not delivered.
    fn is_fin_due(&self) -> bool {
        self.fin == Fin::Received && self.final_size == Some(self.next)
    }

    /// Records that the application has consumed `bytes` more; returns the number that counts, at most the
    /// bytes that it was given.
    pub(in crate::session) fn on_consumed(&mut self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.next.saturating_sub(self.consumed));
        self.consumed = self.consumed.saturating_add(bytes);
        bytes
    }

    /// Adapts the window to the consumed bytes, by at most `allowed` bytes. Returns its growth.
    pub(in crate::session) fn adapt_window(&mut self, pace: Pace, allowed: u64) -> u64 {
        self.window.on_consumed(pace, self.consumed, allowed)
    }

    /// Opens the window by at most `allowed` bytes, once the stream is no small one. Returns its growth.
    pub(in crate::session) fn open_window(&mut self, allowed: u64) -> u64 {
        if self.is_small() || self.discarding || self.final_size.is_some() {
            return 0;
        }
        self.window.open(allowed)
    }

    /// Returns the number of bytes by which the window exceeds the assured one, and how many of them have opened it.
    pub(in crate::session) fn window_extra(&self) -> (u64, u64) {
        (self.window.extra(), self.window.opened())
    }

    /// Returns true if too little has come for more than the initial credit.
    const fn is_small(&self) -> bool {
        self.highest < limits::INITIAL_STREAM_CREDIT / 8
    }

    /// Discards all bytes, also future ones; returns the number of bytes to return to the session's credit.
    pub(in crate::session) fn discard(&mut self) -> u64 {
        self.discarding = true;
        self.ready.clear();
        self.clear_beyond();
        self.take_discarded()
    }

    fn clear_beyond(&mut self) {
        self.beyond.clear();
        self.gap_bytes = 0;
    }

    /// Returns the number of bytes discarded since the last call, which count as consumed.
    pub(in crate::session) fn take_discarded(&mut self) -> u64 {
        if !self.discarding {
            return 0;
        }
        let bytes = self.highest.saturating_sub(self.consumed);
        self.consumed = self.highest;
        bytes
    }

    /// Returns true if credit should be sent to the peer: the limit can rise by a quarter of the window, or an eighth
    /// of the window or [`limits::CONSUMED_REPORT`] was consumed since the last report. The second bound
    /// holds for every window, because the peer's application may wait for consumption as well as for
    /// the limit. A stream that stays small costs no frame.
    pub(in crate::session) fn wants_credit(&self) -> bool {
        !self.discarding
            && self.final_size.is_none()
            && !self.is_small()
            && (self.regrant
                || self.consumed.saturating_add(self.window.bytes())
                    >= self
                        .granted
                        .saturating_add((self.window.bytes() / 4).max(1))
                || self.consumed
                    >= self.reported.saturating_add(
                        (self.window.bytes() / 8).clamp(1, limits::CONSUMED_REPORT),
                    ))
    }

    /// Raises the limit; returns the values for a MAX_STREAM_DATA: consumed and limit.
    pub(in crate::session) fn grant(&mut self) -> (u64, u64) {
        self.granted = self
            .granted
            .max(self.consumed.saturating_add(self.window.bytes()))
            .min(MAX_VARINT);
        self.reported = self.consumed;
        self.regrant = false;
        (self.consumed, self.granted)
    }

    /// Handles the loss of a grant; returns true if it is to be sent again.
    pub(in crate::session) fn on_grant_lost(&mut self, max: u64) -> bool {
        if max < self.granted || self.final_size.is_some() {
            return false;
        }
        self.regrant = true;
        true
    }

    /// Returns true if the half needs no more frames: the final size is known and every byte was delivered
    /// or is discarded.
    pub(in crate::session) fn is_done(&self) -> bool {
        self.final_size.is_some_and(|size| {
            self.discarding || (self.fin == Fin::Delivered && self.next == size)
        })
    }

    pub(in crate::session) const fn is_discarding(&self) -> bool {
        self.discarding
    }

    pub(in crate::session) const fn has_final_size(&self) -> bool {
        self.final_size.is_some()
    }
}

#[cfg(test)]
mod tests;
