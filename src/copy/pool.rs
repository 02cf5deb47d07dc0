//! Pieces of files that are held so that several senders take them from one reading.
//!
//! Not the reading. Invariant: the number of pieces of all files together is bounded; the oldest goes first.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::HEADER;
use super::limits;

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
        buffer.unwrap_or_else(|| BytesMut::with_capacity(HEADER + limits::CHUNK))
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
