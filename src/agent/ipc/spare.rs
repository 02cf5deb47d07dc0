//! Memory of the pieces of a bulk output, which is used again once nobody has them any more.
//!
//! The allocator would return it to the system, and get it back as pages that have to be cleared. Invariant: what is kept
//! does not exceed [`SPARE`].

use std::collections::VecDeque;

use bytes::Bytes;

use super::limits::{PIECE, SPARE};

/// The large pieces handed out, in order.
#[derive(Default, Debug)]
pub(super) struct Spare {
    pieces: VecDeque<Bytes>,
}

impl Spare {
    /// Returns empty memory for a piece of `length` bytes: that of the oldest large one, if it has come back.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        if length <= PIECE / 2 {
            return Vec::with_capacity(length);
        }
        match self.pieces.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(piece)) => {
                let mut memory = Vec::from(piece);
                memory.clear();
                memory.reserve(length);
                memory
            }
            Some(Err(held)) => {
                // It does not stand in the way of the others.
                self.pieces.push_back(held);
                Vec::with_capacity(PIECE)
            }
            None => Vec::with_capacity(PIECE),
        }
    }

    /// Notes a piece that is handed out.
    pub(super) fn note(&mut self, piece: &Bytes) {
        if piece.len() > PIECE / 2 && self.pieces.len() < SPARE / PIECE {
            self.pieces.push_back(piece.clone());
        }
    }

    /// Returns the memory of those that have come back, and forgets the others.
    pub(super) fn clear(&mut self) {
        self.pieces = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(spare: &mut Spare, length: usize) -> (Bytes, *const u8) {
        let mut memory = spare.take(length);
        assert!(memory.is_empty() && memory.capacity() >= length);
        memory.resize(length, 7);
        let piece = Bytes::from(memory);
        spare.note(&piece);
        let place = piece.as_ptr();
        (piece, place)
    }

    #[test]
    fn memory_is_used_again_only_when_nobody_has_the_piece() {
        let mut spare = Spare::default();
        let (first, place) = piece(&mut spare, PIECE);
        let part = first.slice(100..);
        drop(first);
        let (second, other) = piece(&mut spare, PIECE);
        assert_ne!(other, place);
        assert!(part.iter().all(|&byte| byte == 7));
        drop(second);
        // The first is still held, and stands in the way once.
        let (third, _) = piece(&mut spare, PIECE);
        assert_eq!(piece(&mut spare, PIECE - 1).1, other);
        drop((part, third));
        assert_eq!(piece(&mut spare, PIECE).1, place);
    }

    #[test]
    fn small_pieces_are_not_kept_and_large_ones_are_bounded() {
        let mut spare = Spare::default();
        let small: Vec<_> = (0..10).map(|_| piece(&mut spare, PIECE / 2)).collect();
        assert!(spare.pieces.is_empty());
        let large: Vec<_> = (0..2 * SPARE / PIECE)
            .map(|_| piece(&mut spare, PIECE))
            .collect();
        assert_eq!(spare.pieces.len(), SPARE / PIECE);
        drop((small, large));
        spare.clear();
        assert!(spare.pieces.is_empty());
    }
}
