//! Bytes of stdin that the job has not taken yet, kept so that they can be sent again in a new session.
//!
//! Not a reader: bytes are pushed in while there is credit. Invariant: holds exactly the bytes from
//! `taken` to `end`, at most the credit that the agent has granted.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::session::limits::INITIAL_STREAM_CREDIT;

/// Bytes of stdin in flight.
#[derive(Debug)]
pub(super) struct Input {
    /// True unless the process is known to have closed it.
    open: bool,
    /// True if nothing follows `end`.
    fin: bool,
    /// Offset below which every byte has reached the process's pipe.
    taken: u64,
    /// Offset below which every byte has been pushed.
    end: u64,
    /// Offset of the first byte without credit.
    limit: u64,
    tail: VecDeque<Bytes>,
}

impl Input {
    pub(super) const fn new(open: bool) -> Self {
        Self {
            open,
            fin: false,
            taken: 0,
            end: 0,
            limit: INITIAL_STREAM_CREDIT,
            tail: VecDeque::new(),
        }
    }

    /// Creates the input of a job that has taken every byte below `offset` from an earlier controller.
    pub(super) const fn after(offset: u64) -> Self {
        let mut input = Self::new(true);
        input.taken = offset;
        input.end = offset;
        input.limit = offset.saturating_add(INITIAL_STREAM_CREDIT);
        input
    }

    /// Returns true if more should be pushed.
    pub(super) const fn wanted(&self) -> bool {
        self.takes_more() && self.end < self.limit
    }

    /// Returns true if its end has not been pushed and the process has not closed it.
    pub(super) const fn takes_more(&self) -> bool {
        self.open && !self.fin
    }

    /// Takes the next bytes. Returns true if they are to be sent.
    pub(super) fn push(&mut self, data: &Bytes, fin: bool) -> bool {
        if !self.open || self.fin {
            return false;
        }
        self.fin = fin;
        self.end = self.end.saturating_add(data.len() as u64);
        if !data.is_empty() {
            self.tail.push_back(data.clone());
        }
        true
    }

    /// Handles credit up to `limit`; the process has taken all bytes below `taken`.
    pub(super) fn on_credit(&mut self, taken: u64, limit: u64) {
        self.limit = self.limit.max(limit);
        self.drop_below(taken);
    }

    /// Returns the bytes from `from` on, and true if they are the last, for a new session. `None` if some of them are no
    /// longer held.
    pub(super) fn resume(&mut self, from: u64) -> Option<(Vec<Bytes>, bool)> {
        if from < self.taken || from > self.end {
            return None;
        }
        self.drop_below(from);
        self.limit = from.saturating_add(INITIAL_STREAM_CREDIT);
        Some((self.tail.iter().cloned().collect(), self.fin))
    }

    /// Returns true unless the process has closed its input.
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// Drops the input, because the process reads no more.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.tail.clear();
    }

    fn drop_below(&mut self, offset: u64) {
        while self.taken < offset {
            let Some(first) = self.tail.front_mut() else {
                return;
            };
            let length = first.len() as u64;
            let part = (offset - self.taken).min(length);
            if part == length {
                self.tail.pop_front();
            } else {
                bytes::Buf::advance(
                    first,
                    usize::try_from(part).expect("below a chunk's length"),
                );
            }
            self.taken += part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_session_begins_where_the_job_stands() {
        let mut input = Input::new(true);
        assert!(input.push(&Bytes::from_static(b"abcdef"), false));
        assert!(input.push(&Bytes::from_static(b"ghi"), true));
        input.on_credit(4, 1000);
        assert_eq!(input.resume(3), None);
        assert_eq!(input.resume(10), None);
        let (tail, fin) = input.resume(7).unwrap();
        assert_eq!(tail.concat(), b"hi");
        assert!(fin);
        assert!(!input.wanted());
    }

    #[test]
    fn nothing_is_wanted_without_credit() {
        let mut input = Input::new(true);
        input.push(&vec![0; 64 << 10].into(), false);
        assert!(!input.wanted());
        input.on_credit(1, (64 << 10) + 1);
        assert!(input.wanted());
        input.close();
        assert!(!input.wanted() && !input.push(&Bytes::from_static(b"x"), false));
    }
}
