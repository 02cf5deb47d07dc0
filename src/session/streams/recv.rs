//! The receiving half of a stream: puts bytes in order and counts credit.
//!
//! Invariants: at most `window` bytes beyond what was consumed are kept; a final size does not change;
//! no byte is delivered twice. Bytes in order wait in one growing buffer, so that many datagrams make
//! one event; bytes out of order wait as copies, in at most [`limits::STREAM_GAPS`] pieces.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::session::{Fault, limits};
use crate::wire::limits::MAX_VARINT;

#[derive(Debug)]
pub(in crate::session) struct RecvHalf {
    /// In order, not yet taken by the application.
    ready: BytesMut,
    /// Offset of the next byte in order.
    next: u64,
    /// Received beyond a gap: by offset, disjoint.
    beyond: BTreeMap<u64, Bytes>,
    /// The highest offset received, for the session's credit.
    highest: u64,
    final_size: Option<u64>,
    /// True if a STREAM frame with FIN came.
    fin: bool,
    consumed: u64,
    /// The credit last granted, or the initial one.
    granted: u64,
    /// What the peer was last told of `consumed`.
    reported: u64,
    /// The last grant was lost on the way.
    regrant: bool,
    window: u64,
    /// The application wants no more: bytes count and vanish.
    discarding: bool,
    fin_delivered: bool,
    reset: Option<u64>,
}

impl RecvHalf {
    pub(in crate::session) fn new(window: u64) -> Self {
        Self {
            ready: BytesMut::new(),
            next: 0,
            beyond: BTreeMap::new(),
            highest: 0,
            final_size: None,
            fin: false,
            consumed: 0,
            granted: limits::INITIAL_STREAM_CREDIT,
            reported: 0,
            regrant: false,
            window,
            discarding: false,
            fin_delivered: false,
            reset: None,
        }
    }

    /// Takes a STREAM frame; returns by how much the highest offset grew.
    pub(in crate::session) fn on_stream(
        &mut self,
        offset: u64,
        data: &[u8],
        fin: bool,
    ) -> Result<u64, Fault> {
        let end = offset.saturating_add(data.len() as u64);
        let grown = self.on_extent(end, fin.then_some(end))?;
        self.fin |= fin && self.reset.is_none();
        if self.discarding || self.reset.is_some() || end <= self.next {
            return Ok(grown);
        }
        if offset <= self.next {
            let skip = usize::try_from(self.next - offset).expect("within the frame");
            self.ready.extend_from_slice(&data[skip..]);
            self.next = end;
            self.join();
        } else {
            self.keep(offset, data)?;
        }
        Ok(grown)
    }

    /// Checks an end, or a final size, against credit and against what was said before.
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

    /// Moves pieces that have become contiguous behind the bytes in order.
    fn join(&mut self) {
        while let Some(entry) = self.beyond.first_entry() {
            let (offset, end) = (*entry.key(), entry.key() + entry.get().len() as u64);
            if offset > self.next {
                break;
            }
            let piece = entry.remove();
            if end > self.next {
                let skip = usize::try_from(self.next - offset).expect("within the piece");
                self.ready.extend_from_slice(&piece[skip..]);
                self.next = end;
            }
        }
    }

    /// Keeps the parts of `data` that no other piece covers.
    fn keep(&mut self, offset: u64, data: &[u8]) -> Result<(), Fault> {
        let end = offset.saturating_add(data.len() as u64);
        let mut at = offset;
        if let Some((&start, piece)) = self.beyond.range(..=at).next_back() {
            at = at.max(start + piece.len() as u64);
        }
        while at < end {
            let following = self
                .beyond
                .range(at..)
                .next()
                .map(|(&start, piece)| (start, piece.len() as u64));
            let until = following.map_or(end, |(start, _)| start.min(end));
            if at < until {
                if self.beyond.len() >= limits::STREAM_GAPS {
                    return Err(Fault::Gaps);
                }
                let slice =
                    |offset_in: u64| usize::try_from(offset_in - offset).expect("within the frame");
                self.beyond
                    .insert(at, Bytes::copy_from_slice(&data[slice(at)..slice(until)]));
            }
            at = following.map_or(end, |(start, length)| start + length);
        }
        Ok(())
    }

    /// Takes a RESET; returns the growth of the highest offset. The data is not complete, even if every byte
    /// below the final size has arrived: only FIN and all bytes before it make the RESET void.
    pub(in crate::session) fn on_reset(
        &mut self,
        code: u64,
        final_size: u64,
    ) -> Result<u64, Fault> {
        let grown = self.on_extent(final_size, Some(final_size))?;
        let complete = self.fin && self.next == final_size;
        if !complete && self.reset.is_none() {
            self.reset = Some(code);
            self.fin = false;
            self.beyond.clear();
        }
        Ok(grown)
    }

    /// The next event for the application: bytes in order with their offset, and whether they end it.
    pub(in crate::session) fn take_ready(&mut self) -> Option<(u64, Bytes, bool)> {
        if self.discarding {
            return None;
        }
        let fin = self.is_fin_due();
        if self.ready.is_empty() && !fin {
            return None;
        }
        self.fin_delivered |= fin;
        let data = self.ready.split().freeze();
        Some((self.next - data.len() as u64, data, fin))
    }

    /// The peer's RESET, once, after what came in order before it.
    pub(in crate::session) fn take_reset(&mut self) -> Option<u64> {
        let code = self.reset.filter(|_| !self.discarding)?;
        self.discarding = true;
        Some(code)
    }

    pub(in crate::session) fn has_event(&self) -> bool {
        !self.discarding && (!self.ready.is_empty() || self.reset.is_some() || self.is_fin_due())
    }

    /// True if the end has been reached and the application does not know yet.
    fn is_fin_due(&self) -> bool {
        self.fin && self.final_size == Some(self.next) && !self.fin_delivered
    }

    /// The application has disposed of `bytes` more, of those that it was given at most; returns how many
    /// of them count.
    pub(in crate::session) fn on_consumed(&mut self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.next.saturating_sub(self.consumed));
        self.consumed = self.consumed.saturating_add(bytes);
        bytes
    }

    /// Stops keeping bytes. Returns what the session's credit gets back at once.
    pub(in crate::session) fn discard(&mut self) -> u64 {
        self.discarding = true;
        self.ready.clear();
        self.beyond.clear();
        self.take_discarded()
    }

    /// While discarding everything received is consumed: how much more that is.
    pub(in crate::session) fn take_discarded(&mut self) -> u64 {
        if !self.discarding {
            return 0;
        }
        let bytes = self.highest.saturating_sub(self.consumed);
        self.consumed = self.highest;
        bytes
    }

    /// True if the peer should be sent credit: the limit can rise by a quarter of the window, or an eighth
    /// of the window or [`limits::CONSUMED_REPORT`] was consumed since the last report. The second bound
    /// holds for every window, because the peer's application may wait for consumption as well as for
    /// the limit. A stream that stays small costs no frame.
    pub(in crate::session) fn wants_credit(&self) -> bool {
        !self.discarding
            && self.final_size.is_none()
            && self.highest >= limits::INITIAL_STREAM_CREDIT / 8
            && (self.regrant
                || self.consumed.saturating_add(self.window)
                    >= self.granted.saturating_add((self.window / 4).max(1))
                || self.consumed
                    >= self
                        .reported
                        .saturating_add((self.window / 8).clamp(1, limits::CONSUMED_REPORT)))
    }

    /// The values of a MAX_STREAM_DATA sent now: consumed and limit.
    pub(in crate::session) fn grant(&mut self) -> (u64, u64) {
        self.granted = self
            .granted
            .max(self.consumed.saturating_add(self.window))
            .min(MAX_VARINT);
        self.reported = self.consumed;
        self.regrant = false;
        (self.consumed, self.granted)
    }

    /// A grant was lost on the way; returns whether it has to be said again.
    pub(in crate::session) fn on_grant_lost(&mut self, max: u64) -> bool {
        if max < self.granted || self.final_size.is_some() {
            return false;
        }
        self.regrant = true;
        true
    }

    /// Nothing more will come: the final size is known and every byte was received, or is not wanted.
    pub(in crate::session) fn is_done(&self) -> bool {
        self.final_size
            .is_some_and(|size| self.discarding || (self.fin_delivered && self.next == size))
    }

    pub(in crate::session) const fn is_discarding(&self) -> bool {
        self.discarding
    }

    pub(in crate::session) const fn has_final_size(&self) -> bool {
        self.final_size.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_behind_all_data_is_no_end_of_data() {
        for data in [&b""[..], b"abc"] {
            let mut half = RecvHalf::new(limits::STREAM_WINDOW);
            half.on_stream(0, data, false).unwrap();
            half.on_reset(2, data.len() as u64).unwrap();
            // FIN behind the RESET does not make the data complete.
            half.on_stream(0, data, true).unwrap();
            if !data.is_empty() {
                let data = Bytes::from_static(b"abc");
                assert_eq!(half.take_ready(), Some((0, data, false)));
            }
            assert_eq!((half.take_ready(), half.take_reset()), (None, Some(2)));
            assert!(half.is_done());
        }
    }

    #[test]
    fn a_reset_behind_fin_and_all_data_is_void() {
        let mut half = RecvHalf::new(limits::STREAM_WINDOW);
        half.on_stream(0, b"abc", true).unwrap();
        half.on_reset(2, 3).unwrap();
        let data = Bytes::from_static(b"abc");
        assert_eq!(half.take_ready(), Some((0, data, true)));
        assert_eq!((half.take_reset(), half.is_done()), (None, true));
    }

    #[test]
    fn a_reset_behind_fin_with_a_gap_before_it_counts() {
        let mut half = RecvHalf::new(limits::STREAM_WINDOW);
        half.on_stream(2, b"c", true).unwrap();
        half.on_reset(2, 3).unwrap();
        half.on_stream(0, b"ab", false).unwrap();
        assert_eq!((half.take_ready(), half.take_reset()), (None, Some(2)));
    }
}
