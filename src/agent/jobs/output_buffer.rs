//! What one output has written and its reader has not yet disposed of, by offset.
//!
//! Not what is under way on a session: the bytes are shared with it, not copied. Invariant: it holds every byte
//! from `start` to `end`, gapless.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::agent::limits;

/// Whether more may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The process holds it open.
    Open,
    /// It ended.
    Ended,
    /// Nobody wants it: what comes is dropped.
    Shut,
}

/// The bytes of one output that are held.
#[derive(Debug)]
pub struct OutputBuffer {
    start: u64,
    end: u64,
    pieces: VecDeque<Bytes>,
    cost: u64,
    flow: Flow,
}

/// What a piece counts for against [`limits::LANE`].
const fn cost(piece: &Bytes) -> u64 {
    let length = piece.len() as u64;
    if length > limits::PIECE {
        length
    } else {
        limits::PIECE
    }
}

impl OutputBuffer {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            start: 0,
            end: 0,
            pieces: VecDeque::new(),
            cost: 0,
            flow: Flow::Open,
        }
    }

    /// The first offset that is held.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes were written so far.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// What it takes up.
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether more may come.
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// The next bytes.
    pub fn push(&mut self, piece: Bytes) {
        if self.flow == Flow::Shut || piece.is_empty() {
            return;
        }
        self.end += piece.len() as u64;
        self.cost += cost(&piece);
        self.pieces.push_back(piece);
    }

    /// No more will come.
    pub fn end_here(&mut self) {
        if self.flow == Flow::Open {
            self.flow = Flow::Ended;
        }
    }

    /// Nobody wants what is held, nor what would come.
    pub fn shut(&mut self) {
        self.release(self.end);
        self.flow = Flow::Shut;
    }

    /// Every byte below `offset` has been disposed of.
    pub fn release(&mut self, offset: u64) {
        let offset = offset.min(self.end);
        while self.start < offset {
            let Some(first) = self.pieces.front_mut() else {
                break;
            };
            self.cost -= cost(first);
            let length = first.len() as u64;
            if self.start + length <= offset {
                self.start += length;
                self.pieces.pop_front();
            } else {
                let taken = offset - self.start;
                first.advance(usize::try_from(taken).expect("less than the piece"));
                self.start = offset;
                self.cost += cost(first);
            }
        }
    }

    /// The bytes from `offset` on, which lies between `start` and `end`.
    pub fn from(&self, offset: u64) -> impl Iterator<Item = Bytes> {
        let mut at = self.start;
        self.pieces.iter().filter_map(move |piece| {
            let begin = at;
            at += piece.len() as u64;
            let skip = usize::try_from(offset.saturating_sub(begin)).unwrap_or(usize::MAX);
            (skip < piece.len()).then(|| piece.slice(skip..))
        })
    }

    /// How many bytes may be read now, with `extra` beyond the bound.
    pub fn room(&self, extra: u64) -> u64 {
        if self.flow != Flow::Open {
            return 0;
        }
        let room = (limits::LANE + extra).saturating_sub(self.cost);
        if room < limits::READ { 0 } else { room }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_gives_back_every_byte_that_was_not_released(
            pieces in prop::collection::vec(1usize..400, 0..20),
            releases in prop::collection::vec(0u64..9000, 0..5),
            offset in 0u64..9000,
        ) {
            let mut held = OutputBuffer::new();
            let mut all = Vec::new();
            for length in pieces {
                let piece: Vec<u8> = (0..length).map(|i| u8::try_from((all.len() + i) % 251).unwrap()).collect();
                all.extend_from_slice(&piece);
                held.push(piece.into());
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
    fn a_byte_at_a_time_is_bounded_as_well() {
        let mut held = OutputBuffer::new();
        while held.room(0) > 0 {
            held.push(Bytes::from_static(b"x"));
        }
        assert!(held.end() * limits::PIECE <= limits::LANE);
    }

    #[test]
    fn what_nobody_wants_is_dropped() {
        let mut held = OutputBuffer::new();
        held.push(Bytes::from_static(b"abc"));
        held.shut();
        held.push(Bytes::from_static(b"def"));
        assert_eq!((held.start(), held.end(), held.room(0)), (3, 3, 0));
    }
}
