//! The stdin of a job: bytes from the data lane of the attached call to the pipe of the process.
//!
//! Invariant: each byte is accepted once, in order, whichever call has sent it. Credit is granted for bytes
//! that the pipe has taken, and only to the call that has sent them.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::agent::limits;

/// State of the stdin of a job.
#[derive(Default, Debug)]
pub struct Stdin {
    open: bool,
    /// Offset of the next expected byte.
    taken: u64,
    /// Offset at which the lane of the attached call begins.
    base: u64,
    /// Number of bytes that the pipe has taken, or that are lost because it was closed.
    written: u64,
    /// Offset of the first byte that the attached call has sent.
    own: u64,
    /// Bytes that are not yet passed on, because the supervisor holds as many as it may.
    waiting: VecDeque<Bytes>,
    waiting_bytes: u64,
    /// True if the end is accepted and not yet passed on.
    eof: bool,
}

/// Result of closing stdin.
#[derive(PartialEq, Eq, Debug)]
pub struct Closed {
    /// Bytes of the attached call that will never be written.
    pub discarded: u64,
    /// True if stdin was open.
    pub wanted: bool,
}

impl Stdin {
    /// Returns the stdin of a process; `open` is true if it has a pipe.
    pub fn new(open: bool) -> Self {
        Self {
            open,
            ..Self::default()
        }
    }

    /// Returns the stdin of a process that has accepted bytes from an earlier agent, and had some of them written.
    pub fn restored(open: bool, accepted: u64, written: u64) -> Self {
        Self {
            open,
            taken: accepted,
            base: accepted,
            written: written.min(accepted),
            own: accepted,
            ..Self::default()
        }
    }

    /// Returns true if further bytes are accepted.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Offset of the next expected byte.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Changes to another call. Its lane begins at offset `base`.
    pub const fn attach(&mut self, base: u64) {
        self.base = base;
        self.own = self.taken;
    }

    /// Processes bytes at an offset of the lane. Returns the number of those that are dropped: repeated, or not
    /// wanted. [`next_write`](Self::next_write) returns the others.
    pub fn on_data(&mut self, offset: u64, mut data: Bytes, fin: bool) -> u64 {
        let length = data.len() as u64;
        let known = self.taken.saturating_sub(self.base.saturating_add(offset));
        let discarded = if self.open { known.min(length) } else { length };
        data.advance(usize::try_from(discarded).expect("at most the length"));
        self.taken += data.len() as u64;
        self.waiting_bytes += data.len() as u64;
        if !data.is_empty() {
            self.waiting.push_back(data);
        }
        self.eof |= fin && self.open;
        self.open &= !fin;
        discarded
    }

    /// Returns the next bytes to pass on, and true if the end follows them.
    pub fn next_write(&mut self) -> Option<(Bytes, bool)> {
        let passed = self.taken - self.waiting_bytes;
        let room = limits::STDIN.saturating_sub(passed - self.written);
        let data = match self.waiting.front_mut() {
            None => Bytes::new(),
            Some(_) if room == 0 => return None,
            Some(first) => {
                let length = usize::try_from(room).unwrap_or(usize::MAX).min(first.len());
                let data = first.split_to(length);
                if first.is_empty() {
                    self.waiting.pop_front();
                }
                data
            }
        };
        self.waiting_bytes -= data.len() as u64;
        let eof = self.waiting.is_empty() && std::mem::take(&mut self.eof);
        (eof || !data.is_empty()).then_some((data, eof))
    }

    /// Processes the number of bytes that the pipe has taken so far. Returns the number of new ones that the attached
    /// call has sent.
    pub fn on_written(&mut self, written: u64) -> u64 {
        let before = self.written.max(self.own);
        self.written = written.clamp(self.written, self.taken);
        self.written.saturating_sub(before)
    }

    /// Closes stdin.
    pub fn close(&mut self) -> Closed {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.eof = false;
        Closed {
            discarded: self.on_written(self.taken),
            wanted: std::mem::take(&mut self.open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(stdin: &mut Stdin) -> Option<(Vec<u8>, bool)> {
        stdin.next_write().map(|(data, eof)| (data.to_vec(), eof))
    }

    #[test]
    fn a_repeated_request_writes_no_byte_to_stdin_twice() {
        let mut stdin = Stdin::new(true);
        assert_eq!(stdin.on_data(0, Bytes::from_static(b"abcd"), false), 0);
        assert_eq!(next(&mut stdin), Some((b"abcd".to_vec(), false)));
        assert_eq!(stdin.on_written(1), 1);
        stdin.attach(0);
        assert_eq!(stdin.on_data(0, Bytes::from_static(b"abcdef"), true), 4);
        assert_eq!(next(&mut stdin), Some((b"ef".to_vec(), true)));
        assert_eq!(next(&mut stdin), None);
        assert_eq!(stdin.on_written(5), 1, "three bytes of the first call");
        assert_eq!(stdin.on_written(6), 1);
        assert_eq!(stdin.on_data(6, Bytes::from_static(b"g"), true), 1);
        assert_eq!(next(&mut stdin), None);
    }

    #[test]
    fn the_stdin_of_a_new_call_continues_at_the_offset_of_the_previous_one() {
        let mut stdin = Stdin::new(true);
        stdin.on_data(0, Bytes::from_static(b"abcd"), false);
        stdin.attach(stdin.taken());
        assert_eq!(stdin.on_data(0, Bytes::from_static(b"ef"), false), 0);
        let (discarded, wanted) = (2, true);
        assert_eq!(stdin.close(), Closed { discarded, wanted });
        let (discarded, wanted) = (0, false);
        assert_eq!(stdin.close(), Closed { discarded, wanted });
    }

    #[test]
    fn bytes_beyond_the_bound_wait_until_the_pipe_has_taken_others() {
        let mut stdin = Stdin::new(true);
        let most = usize::try_from(limits::STDIN).unwrap();
        stdin.on_data(0, vec![b'x'; most + 10].into(), true);
        assert_eq!(next(&mut stdin), Some((vec![b'x'; most], false)));
        assert_eq!(next(&mut stdin), None);
        stdin.on_written(4);
        assert_eq!(next(&mut stdin), Some((vec![b'x'; 4], false)));
        stdin.on_written(limits::STDIN);
        assert_eq!(next(&mut stdin), Some((vec![b'x'; 6], true)));
        assert_eq!(next(&mut stdin), None);
    }
}
