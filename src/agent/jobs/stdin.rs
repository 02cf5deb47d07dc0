//! The stdin of a job: bytes from the data lane of the attached call to the pipe of the process.
//!
//! Invariant: each byte is accepted once, in order, whichever call has sent it. Credit is granted for bytes
//! that the pipe has taken, and only to the call that has sent them.

use bytes::{Buf as _, Bytes};

/// State of the stdin of a job.
#[derive(Debug)]
pub struct Stdin {
    open: bool,
    /// Offset of the next expected byte.
    taken: u64,
    /// Offset at which the lane of the attached call begins.
    base: u64,
    /// Bytes accepted and not yet written to the pipe.
    queued: u64,
    /// Those of them that earlier calls have sent.
    earlier: u64,
}

/// Result of received bytes.
#[derive(PartialEq, Eq, Debug)]
pub struct Taken {
    /// Bytes to write to the pipe.
    pub write: Bytes,
    /// True if the pipe is to be closed after them.
    pub eof: bool,
    /// Bytes that are dropped: repeated, or not wanted.
    pub discarded: u64,
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
    pub const fn new(open: bool) -> Self {
        Self {
            open,
            taken: 0,
            base: 0,
            queued: 0,
            earlier: 0,
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
        self.earlier = self.queued;
    }

    /// Processes bytes at an offset of the lane.
    pub fn on_data(&mut self, offset: u64, mut data: Bytes, fin: bool) -> Taken {
        let length = data.len() as u64;
        let known = self.taken.saturating_sub(self.base.saturating_add(offset));
        let discarded = if self.open { known.min(length) } else { length };
        data.advance(usize::try_from(discarded).expect("at most the length"));
        self.taken += data.len() as u64;
        self.queued += data.len() as u64;
        let eof = fin && self.open;
        self.open &= !fin;
        Taken {
            write: data,
            eof,
            discarded,
        }
    }

    /// Processes bytes that the pipe has taken. Returns the number of those that the attached call has sent.
    pub fn on_written(&mut self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.queued);
        self.queued -= bytes;
        let earlier = bytes.min(self.earlier);
        self.earlier -= earlier;
        bytes - earlier
    }

    /// Closes stdin.
    pub fn close(&mut self) -> Closed {
        Closed {
            discarded: self.on_written(self.queued),
            wanted: std::mem::take(&mut self.open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_writes_no_byte_to_stdin_twice() {
        let mut stdin = Stdin::new(true);
        assert_eq!(
            stdin.on_data(0, Bytes::from_static(b"abcd"), false).write,
            "abcd"
        );
        assert_eq!(stdin.on_written(1), 1);
        stdin.attach(0);
        let again = stdin.on_data(0, Bytes::from_static(b"abcdef"), true);
        assert_eq!(
            (&again.write[..], again.eof, again.discarded),
            (&b"ef"[..], true, 4)
        );
        assert_eq!(
            stdin.on_written(4),
            1,
            "three bytes of the first call come first"
        );
        assert_eq!(stdin.on_written(1), 1);
        let late = stdin.on_data(6, Bytes::from_static(b"g"), true);
        assert_eq!((late.write.len(), late.eof, late.discarded), (0, false, 1));
    }

    #[test]
    fn the_stdin_of_a_new_call_continues_at_the_offset_of_the_previous_one() {
        let mut stdin = Stdin::new(true);
        stdin.on_data(0, Bytes::from_static(b"abcd"), false);
        stdin.attach(stdin.taken());
        assert_eq!(
            stdin.on_data(0, Bytes::from_static(b"ef"), false).write,
            "ef"
        );
        let (discarded, wanted) = (2, true);
        assert_eq!(stdin.close(), Closed { discarded, wanted });
        let (discarded, wanted) = (0, false);
        assert_eq!(stdin.close(), Closed { discarded, wanted });
    }
}
