//! The way of stdin: from the data lane of the call that is attached into the process's pipe.
//!
//! Invariant: each byte is taken once, in order, whichever call brought it; credit is granted for what
//! the pipe took, and only to the call that brought it.

use bytes::{Buf as _, Bytes};

/// Where a job's stdin stands.
#[derive(Debug)]
pub struct Stdin {
    open: bool,
    /// Offset of the next byte that is wanted.
    taken: u64,
    /// Offset that the present call's lane began with.
    base: u64,
    /// Taken, and not yet written to the pipe.
    queued: u64,
    /// Of these, brought by earlier calls.
    foreign: u64,
}

/// What is to be done with bytes that came.
#[derive(PartialEq, Eq, Debug)]
pub struct Taken {
    /// To be written to the pipe.
    pub write: Bytes,
    /// The pipe is to be closed after them.
    pub eof: bool,
    /// Disposed of already: taken before, or no longer wanted.
    pub discarded: u64,
}

/// What became of stdin when its pipe was closed.
#[derive(PartialEq, Eq, Debug)]
pub struct Closed {
    /// Bytes of the present call that will never be written.
    pub discarded: u64,
    /// More were still wanted.
    pub wanted: bool,
}

impl Stdin {
    /// Of a process with a pipe for it, or without.
    pub const fn new(open: bool) -> Self {
        Self {
            open,
            taken: 0,
            base: 0,
            queued: 0,
            foreign: 0,
        }
    }

    /// Whether bytes are still wanted.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Offset of the next byte that is wanted.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// From now on another call brings the bytes, its lane beginning at `base`.
    pub const fn attach(&mut self, base: u64) {
        self.base = base;
        self.foreign = self.queued;
    }

    /// Bytes came at an offset of the lane.
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

    /// The pipe took so many bytes; returns how many of them the present call brought.
    pub fn on_written(&mut self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.queued);
        self.queued -= bytes;
        let foreign = bytes.min(self.foreign);
        self.foreign -= foreign;
        bytes - foreign
    }

    /// The process reads no more.
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
    fn a_repeated_request_brings_no_byte_twice() {
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
    fn a_call_that_goes_on_begins_where_the_last_one_ended() {
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
