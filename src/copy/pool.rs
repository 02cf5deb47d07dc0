//! Pieces of files that are held so that several senders take them from one reading.
//!
//! Not the reading. Invariant: the number of pieces of all files together is bounded; the oldest goes first.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

use super::frame::HEADER;
use super::limits;

/// Offset of the content of a piece in a page. Processors of AMD since Zen 3 copy a half to a quarter as fast to a place that
/// begins less than 32 bytes behind its source within a page, and what is read from a file begins with one.
const APART: usize = 64;

/// Size of a page.
const PAGE: usize = 4096;

/// Pieces of all files, in the order in which they were read.
#[derive(Debug)]
pub struct Pool {
    pieces: VecDeque<Piece>,
    /// Number of them, at most.
    most: usize,
    /// Number of the files that were opened.
    files: u64,
}

/// Piece of a file, with its frame.
#[derive(Debug)]
struct Piece {
    file: u64,
    offset: u64,
    frame: Bytes,
}

impl Pool {
    /// Creates an empty one, which holds so many pieces; at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            most: most.max(1),
            files: 0,
        }
    }

    /// Returns the number of a further file.
    pub const fn add_file(&mut self) -> u64 {
        self.files += 1;
        self.files
    }

    /// Returns the frame of a piece, if it is held.
    #[must_use]
    pub fn find(&self, file: u64, offset: u64) -> Option<Bytes> {
        let is_it = |piece: &&Piece| (piece.file, piece.offset) == (file, offset);
        let found = self.pieces.iter().find(is_it);
        found.map(|piece| piece.frame.clone())
    }

    /// Returns a buffer for a further piece: that of the oldest one if nobody uses it any more, as new memory costs as much
    /// as a copy into it.
    pub fn buffer(&mut self) -> BytesMut {
        let mut buffer = None;
        while self.pieces.len() >= self.most {
            let oldest = self.pieces.pop_front();
            buffer = oldest.and_then(|piece| piece.frame.try_into_mut().ok());
        }
        buffer.unwrap_or_else(new_buffer)
    }

    /// Holds a piece.
    pub fn hold(&mut self, file: u64, offset: u64, frame: Bytes) {
        self.pieces.push_back(Piece {
            file,
            offset,
            frame,
        });
    }

    /// Returns the files of the pieces that are held.
    #[cfg(test)]
    pub fn files(&self) -> impl Iterator<Item = u64> {
        self.pieces.iter().map(|piece| piece.file)
    }
}

/// Returns a new buffer, whose content begins [`APART`] behind the beginning of a page.
fn new_buffer() -> BytesMut {
    let mut buffer = BytesMut::with_capacity(PAGE + APART + limits::CHUNK);
    let before = buffer.as_ptr().align_offset(PAGE).min(PAGE) + APART - HEADER;
    buffer.resize(before, 0);
    buffer.advance(before);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_at_its_place_in_a_page_once_nobody_has_its_piece() {
        let mut pool = Pool::new(1);
        let file = pool.add_file();
        let mut place = None;
        for (offset, length) in [(0, limits::CHUNK), (1, 10), (2, limits::CHUNK)] {
            let mut buffer = pool.buffer();
            buffer.resize(HEADER + length, 0);
            let content = buffer[HEADER..].as_ptr();
            assert_eq!(content.align_offset(PAGE), PAGE - APART);
            assert_eq!(*place.get_or_insert(content), content);
            pool.hold(file, offset, buffer.freeze());
        }
        // Somebody has it.
        let held = pool.find(file, 2).unwrap();
        assert_ne!(pool.buffer()[..].as_ptr(), held.as_ptr());
    }
}
