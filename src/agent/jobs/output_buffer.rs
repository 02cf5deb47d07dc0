//! Bytes of one output that its reader has not yet consumed, by offset.
//!
//! The session layer shares the bytes in flight with this buffer. Invariant: it holds every byte from `start`
//! to `end`, without gaps.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::agent::limits;

/// State of an output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// A process holds it open.
    Open,
    /// At its end.
    Ended,
    /// Not wanted by the controller; further bytes are dropped.
    Shut,
}

/// Held bytes of one output.
#[derive(Debug)]
pub struct OutputBuffer {
    start: u64,
    end: u64,
    chunks: VecDeque<Bytes>,
    cost: u64,
    flow: Flow,
}

/// Cost of a chunk against [`limits::LANE`].
const fn cost(chunk: &Bytes) -> u64 {
    let length = chunk.len() as u64;
    if length > limits::CHUNK {
        length
    } else {
        limits::CHUNK
    }
}

impl OutputBuffer {
    /// Returns an empty buffer of an open output.
    pub const fn new() -> Self {
        Self {
            start: 0,
            end: 0,
            chunks: VecDeque::new(),
            cost: 0,
            flow: Flow::Open,
        }
    }

    /// Offset of the first held byte.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Number of bytes written so far.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Cost of the held bytes.
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// State of an output.
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Appends bytes.
    pub fn push(&mut self, chunk: Bytes) {
        if self.flow == Flow::Shut || chunk.is_empty() {
            return;
        }
        self.end += chunk.len() as u64;
        self.cost += cost(&chunk);
        self.chunks.push_back(chunk);
    }

    /// Marks the end of the output.
    pub fn end_here(&mut self) {
        if self.flow == Flow::Open {
            self.flow = Flow::Ended;
        }
    }

    /// Drops the held bytes and all further ones.
    pub fn shut(&mut self) {
        self.release(self.end);
        self.flow = Flow::Shut;
    }

    /// Drops every byte below `offset`.
    pub fn release(&mut self, offset: u64) {
        let offset = offset.min(self.end);
        while self.start < offset {
            let Some(first) = self.chunks.front_mut() else {
                break;
            };
            self.cost -= cost(first);
            let length = first.len() as u64;
            if self.start + length <= offset {
                self.start += length;
                self.chunks.pop_front();
            } else {
                let taken = offset - self.start;
                first.advance(usize::try_from(taken).expect("less than the length of the chunk"));
                self.start = offset;
                self.cost += cost(first);
            }
        }
    }

    /// Returns the bytes from `offset` on, which is between `start` and `end`.
    pub fn from(&self, offset: u64) -> impl Iterator<Item = Bytes> {
        let mut at = self.start;
        self.chunks.iter().filter_map(move |chunk| {
            let begin = at;
            at += chunk.len() as u64;
            let skip = usize::try_from(offset.saturating_sub(begin)).unwrap_or(usize::MAX);
            (skip < chunk.len()).then(|| chunk.slice(skip..))
        })
    }

    /// Number of bytes that may be read now, with `extra` above the bound.
    pub fn read_limit(&self, extra: u64) -> u64 {
        if self.flow != Flow::Open {
            return 0;
        }
        let free = (limits::LANE + extra).saturating_sub(self.cost);
        if free < limits::READ { 0 } else { free }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_that_was_not_released_is_returned(
            chunks in prop::collection::vec(1usize..400, 0..20),
            releases in prop::collection::vec(0u64..9000, 0..5),
            offset in 0u64..9000,
        ) {
            let mut held = OutputBuffer::new();
            let mut all = Vec::new();
            for length in chunks {
                let chunk: Vec<u8> = (0..length).map(|i| u8::try_from((all.len() + i) % 251).unwrap()).collect();
                all.extend_from_slice(&chunk);
                held.push(chunk.into());
            }
            let mut lowest = 0;
            for release in releases {
                held.release(release);
                lowest = lowest.max(release.min(all.len() as u64));
            }
            prop_assert_eq!(held.start(), lowest);
            let from = offset.clamp(held.start(), held.end());
            let got: Vec<u8> = held.from(from).flatten().collect();
            prop_assert_eq!(&got[..], &all[usize::try_from(from).unwrap()..]);
            held.release(held.end());
            prop_assert_eq!(held.cost(), 0);
        }
    }

    #[test]
    fn single_byte_writes_are_bounded() {
        let mut held = OutputBuffer::new();
        while held.read_limit(0) > 0 {
            held.push(Bytes::from_static(b"x"));
        }
        assert!(held.end() * limits::CHUNK <= limits::LANE);
    }

    #[test]
    fn unwanted_output_is_dropped() {
        let mut held = OutputBuffer::new();
        held.push(Bytes::from_static(b"abc"));
        held.shut();
        held.push(Bytes::from_static(b"def"));
        assert_eq!((held.start(), held.end(), held.read_limit(0)), (3, 3, 0));
    }
}
