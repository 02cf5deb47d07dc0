//! Lines of the outputs: what has come of a line is held until its end, and whole lines are given away together.
//!
//! Sans-IO. Invariant: every byte is given away once and in order, with its offset.

use std::collections::HashMap;

use super::{ByteCount, Offset};
use crate::control::exec::Output;
use crate::control::limits;

/// Beginning of a line that has not ended.
#[derive(Default, Debug)]
struct Partial {
    /// Offset of its first byte.
    from: u64,
    bytes: Vec<u8>,
    /// First bytes that count as written already.
    counted: usize,
}

/// Lines that have not ended, of all hosts.
#[derive(Default, Debug)]
pub(super) struct Lines {
    partial: HashMap<(u32, Output), Partial>,
}

/// Whole lines, or a piece of a long one.
#[derive(Debug)]
pub(super) struct Piece {
    /// Range of bytes that have not been counted before.
    pub(super) count: ByteCount,
    pub(super) bytes: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes of an output. Returns the lines that have ended, or the beginning of one that is longer than
    /// [`limits::PARTIAL_LINE`].
    pub(super) fn push(&mut self, slot: u32, place: Offset, data: &[u8]) -> Option<Piece> {
        let key = (slot, place.output);
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            from: place.from,
            ..Partial::default()
        });
        partial.bytes.extend_from_slice(data);
        let whole = match partial.bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => end + 1,
            None if partial.bytes.len() >= limits::PARTIAL_LINE => whole_characters(&partial.bytes),
            None => return None,
        };
        Some(partial.take(slot, place.output, whole))
    }

    /// Takes bytes that count as written already and were not given away yet. They end with the next piece.
    #[cfg(feature = "cli")]
    pub(super) fn push_counted(&mut self, slot: u32, place: Offset, data: &[u8]) {
        let partial = self
            .partial
            .entry((slot, place.output))
            .or_insert_with(|| Partial {
                from: place.from,
                ..Partial::default()
            });
        partial.bytes.extend_from_slice(data);
        partial.counted += data.len();
    }

    /// Returns true if bytes of an output were pushed since the last [`Lines::flush`] of its host.
    #[cfg(feature = "cli")]
    pub(super) fn is_open(&self, slot: u32, output: Output) -> bool {
        self.partial.contains_key(&(slot, output))
    }

    /// Returns what is held of a host's lines without an end. No output of the host follows.
    pub(super) fn flush(&mut self, slot: u32) -> impl Iterator<Item = Piece> {
        let pieces = Output::ALL.map(|output| {
            let mut partial = self.partial.remove(&(slot, output))?;
            let whole = partial.bytes.len();
            (whole > 0).then(|| partial.take(slot, output, whole))
        });
        pieces.into_iter().flatten()
    }
}

impl Partial {
    /// Takes the first bytes away.
    fn take(&mut self, slot: u32, output: Output, length: usize) -> Piece {
        let rest = self.bytes.split_off(length);
        let bytes = std::mem::replace(&mut self.bytes, rest);
        let counted = self.counted.min(length);
        let count = ByteCount {
            slot,
            output,
            from: self.from + counted as u64,
            bytes: (length - counted) as u64,
        };
        self.counted -= counted;
        self.from += length as u64;
        Piece { count, bytes }
    }
}

/// Returns the length without a character of UTF-8 whose end has not come yet.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(3);
    (last..bytes.len())
        .rfind(|&at| bytes[at] >= 0xc0)
        .filter(|&at| at > 0 && is_open(&bytes[at..]))
        .unwrap_or(bytes.len())
}

/// Returns true if bytes that begin a character of UTF-8 are fewer than it has.
const fn is_open(bytes: &[u8]) -> bool {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    bytes.len() < length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(from: u64) -> Offset {
        Offset {
            output: Output::Stdout,
            from,
        }
    }

    #[test]
    fn lines_are_given_away_whole_with_their_range() {
        let mut lines = Lines::default();
        assert!(lines.push(1, at(10), b"on").is_none());
        let piece = lines.push(1, at(12), b"e\ntwo\nth").unwrap();
        assert_eq!(piece.bytes, b"one\ntwo\n");
        assert_eq!((piece.count.from, piece.count.bytes), (10, 8));
        let last: Vec<Piece> = lines.flush(1).collect();
        assert_eq!(last[0].bytes, b"th");
        assert_eq!((last[0].count.from, last[0].count.bytes), (18, 2));
        assert!(lines.flush(1).next().is_none());
    }

    #[test]
    fn a_line_without_end_is_given_away_in_pieces() {
        let mut lines = Lines::default();
        let text = vec![b'x'; limits::PARTIAL_LINE];
        let piece = lines.push(1, at(0), &text).unwrap();
        assert_eq!(piece.bytes, text);
        assert!(lines.flush(1).next().is_none());
    }

    #[test]
    fn a_piece_of_a_long_line_ends_with_a_whole_character() {
        for (text, length) in [
            ("xé", 3),
            ("x\u{20ac}", 4),
            ("x\u{1f600}", 5),
            ("\u{1f600}x", 5),
        ] {
            let bytes = text.as_bytes();
            for end in 1..=length {
                let whole = whole_characters(&bytes[..end]);
                let is_whole = text.is_char_boundary(end);
                assert_eq!(
                    whole == end,
                    is_whole || bytes[0] >= 0xc0 && end < 5,
                    "{text} {end}"
                );
                assert!(whole > 0 && end - whole < 4);
            }
        }
        assert_eq!(whole_characters(&[0xff; 10]), 10);
        assert_eq!(whole_characters(&[0x80; 10]), 10);
    }

    #[test]
    #[cfg(feature = "cli")]
    fn bytes_that_were_counted_before_are_given_away_but_not_counted_again() {
        let mut lines = Lines::default();
        lines.push_counted(1, at(0), b"held ");
        let piece = lines.push(1, at(5), b"back\nre").unwrap();
        assert_eq!(piece.bytes, b"held back\n");
        assert_eq!((piece.count.from, piece.count.bytes), (5, 5));
        let last = lines.flush(1).next().unwrap();
        assert_eq!((last.count.from, last.count.bytes), (10, 2));
        // As many lines as were counted can end with the first piece.
        lines.push_counted(2, at(0), b"a\nb");
        let piece = lines.push(2, at(3), b"").unwrap();
        assert_eq!(piece.bytes, b"a\n");
        assert_eq!((piece.count.from, piece.count.bytes), (2, 0));
    }
}
