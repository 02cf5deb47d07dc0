//! Input between the terminal and the line editor: UTF-8 of any bytes, in pieces that end with a line.
//!
//! Not its reading. Invariant: what the editor has not handled can be taken back, in the order in which it was typed.

use super::limits::PIECE;

/// Keys that end a line: Enter in both forms, and the end of input.
const ENDS: [char; 3] = ['\r', '\n', '\x04'];

/// Code of a key that is turned off, `_POSIX_VDISABLE` of Linux.
pub const KEY_OFF: u8 = 0;

/// Input between the terminal and a line editor.
#[derive(Default, Debug)]
pub struct TypedAhead {
    decoder: Decoder,
    /// Text that is not passed on.
    pending: String,
    /// Beginning of a key's sequence that was passed on with its rest missing: now, and before the last piece.
    unfinished: [String; 2],
    /// True if the last piece ends a line.
    ends_line: bool,
    /// Keys that were put aside.
    aside: Vec<u8>,
    /// True while a thread reads the terminal.
    pub is_reading: bool,
}

impl TypedAhead {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        let text = self.decoder.push(bytes);
        self.pending.push_str(&text);
    }

    /// Takes what is to be passed on next, up to the end of a line; empty if there is nothing.
    pub fn next_piece(&mut self) -> String {
        let end = |&(at, c): &(usize, char)| ENDS.contains(&c) || at + c.len_utf8() >= PIECE;
        let last = self.pending.char_indices().find(end);
        let length = last.map_or(self.pending.len(), |(at, c)| at + c.len_utf8());
        let rest = self.pending.split_off(length);
        let piece = std::mem::replace(&mut self.pending, rest);
        if !piece.is_empty() {
            let [now, before] = &mut self.unfinished;
            let all = format!("{now}{piece}");
            *before = std::mem::replace(now, unfinished(&all).to_owned());
            self.ends_line = piece.ends_with(ENDS);
        }
        piece
    }

    /// Returns true if nothing waits to be passed on.
    pub const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns true if the line editor may be about to complete a line.
    pub const fn ends_line(&self) -> bool {
        self.ends_line
    }

    /// Notes that the line editor begins a line. `is_read` tells that it has read all that was passed on.
    pub const fn begin_line(&mut self, is_read: bool) {
        self.ends_line &= !is_read;
    }

    /// Puts keys aside.
    pub fn put_aside(&mut self, keys: &[u8]) {
        self.aside.extend_from_slice(keys);
    }

    /// Takes the keys that were put aside.
    pub fn take_aside(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.aside)
    }

    /// Puts them back, before what is not passed on.
    pub fn restore_aside(&mut self) {
        let text = Decoder::default().push(&self.take_aside());
        self.pending.insert_str(0, &text);
    }

    /// Takes the keys that the line editor has not handled, in their order. `unread` is what was passed on and it has not
    /// read; of a piece, it has read all or nothing.
    pub fn take(&mut self, unread: &[u8]) -> Vec<u8> {
        let [now, before] = std::mem::take(&mut self.unfinished);
        let unfinished = if unread.is_empty() { now } else { before };
        let mut keys = unfinished.into_bytes();
        keys.extend_from_slice(unread);
        keys.extend(std::mem::take(&mut self.pending).into_bytes());
        keys.append(&mut self.decoder.held);
        keys
    }
}

/// Returns the beginning of a key's sequence at the end of a text, which the line editor has read and not handled.
fn unfinished(text: &str) -> &str {
    let Some(start) = text.rfind('\x1b') else {
        return "";
    };
    let is_number = |c: char| c.is_ascii_digit() || c == ';';
    let is_unfinished = match text[start + 1..].strip_prefix('[') {
        Some(rest) => rest == "[" || rest.chars().all(is_number),
        None => matches!(&text[start + 1..], "" | "O"),
    };
    if is_unfinished { &text[start..] } else { "" }
}

/// Decoder of UTF-8 in pieces. Each byte that belongs to no character becomes, with its like up to the next character, U+FFFD.
/// NUL, the key Ctrl-@, is dropped.
#[derive(Default, Debug)]
struct Decoder {
    /// Bytes of a character that is not complete, three at most.
    held: Vec<u8>,
}

impl Decoder {
    /// Takes a piece. Returns the characters that are complete.
    fn push(&mut self, piece: &[u8]) -> String {
        let keys = piece.iter().filter(|&&byte| byte != KEY_OFF);
        self.held.extend(keys);
        let mut text = String::new();
        let mut rest = &self.held[..];
        loop {
            match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, behind) = rest.split_at(error.valid_up_to());
                    text.push_str(str::from_utf8(valid).expect("valid up to there"));
                    rest = behind;
                    let Some(length) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[length..];
                }
            }
        }
        self.held = rest.to_vec();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what becomes of pieces.
    fn decoded(pieces: &[&[u8]]) -> String {
        let mut decoder = Decoder::default();
        pieces.iter().map(|piece| decoder.push(piece)).collect()
    }

    #[test]
    fn a_character_that_is_split_is_whole_and_other_bytes_are_replaced() {
        assert_eq!(
            decoded(&[b"caf\xc3", b"\xa9 \xf0\x9f", b"\x98", b"\x80."]),
            "café 😀."
        );
        assert_eq!(
            decoded(&[b"caf\xe9 noir\r", b"\xfc", b"ber\xff\xfe\r"]),
            "caf\u{fffd} noir\r\u{fffd}ber\u{fffd}\u{fffd}\r"
        );
        assert_eq!(decoded(&[b"a\0b", b"\0", b"\xc3\0", b"\xa9"]), "abé");
        // The byte behind the beginning of a character that does not go on is kept.
        assert_eq!(decoded(&[b"\xe9", b"\r"]), "\u{fffd}\r");
        assert_eq!(decoded(&[b"\xed\xa0\x80"]), "\u{fffd}".repeat(3));
    }

    #[test]
    fn pieces_of_any_length_have_the_same_text_as_the_whole() {
        let bytes = b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x82\xff\xc3\xc3\xa9\x80z";
        let whole = String::from_utf8_lossy(bytes);
        for length in 1..=bytes.len() {
            let pieces: Vec<_> = bytes.chunks(length).collect();
            assert_eq!(decoded(&pieces), whole);
        }
    }

    #[test]
    fn a_piece_ends_with_its_line_and_what_is_not_passed_on_is_kept() {
        let mut passing = TypedAhead::default();
        passing.push("one\rtwo\n\x04日本\x1b[".as_bytes());
        let pieces: Vec<_> = std::iter::from_fn(|| {
            let piece = passing.next_piece();
            (!piece.is_empty()).then_some(piece)
        })
        .collect();
        assert_eq!(pieces, ["one\r", "two\n", "\x04", "日本\x1b["]);
        assert_eq!(passing.unfinished, ["\x1b[".to_owned(), String::new()]);
        passing.push(b"1;5");
        passing.next_piece();
        assert_eq!(passing.unfinished, ["\x1b[1;5", "\x1b["]);
        passing.push(b"D");
        passing.next_piece();
        assert_eq!(passing.unfinished[0], "");
        passing.push("é".repeat(PIECE).as_bytes());
        assert_eq!(passing.next_piece().len(), PIECE);
    }

    #[test]
    fn the_keys_that_were_not_handled_have_their_order() {
        let mut passing = TypedAhead::default();
        passing.push(b"a\x1b");
        passing.next_piece();
        passing.push(b"[Cb\rc\r\xe6");
        assert_eq!(passing.next_piece(), "[Cb\r");
        // The editor has read the first piece only, and then all of both.
        let mut other = TypedAhead::default();
        std::mem::swap(&mut passing, &mut other);
        assert_eq!(other.take(b"[Cb\r"), b"\x1b[Cb\rc\r\xe6");
        passing.push(b"a\x1b");
        passing.next_piece();
        assert_eq!(passing.take(b""), b"\x1b");
        assert_eq!(passing.take(b""), b"");
    }

    #[test]
    fn keys_that_were_put_aside_come_back_before_the_others() {
        let mut passing = TypedAhead::default();
        passing.push("日本\r".as_bytes());
        let before = passing.take(b"ab");
        passing.put_aside(&before);
        passing.push(b"stay\r");
        assert_eq!(passing.next_piece(), "stay\r");
        passing.push(b"c");
        passing.restore_aside();
        assert_eq!(passing.next_piece(), "ab日本\r");
        assert_eq!(passing.next_piece(), "c");
        assert_eq!(passing.take_aside(), b"");
    }

    #[test]
    fn the_beginning_of_a_key_is_told_from_a_key() {
        for text in ["\x1b", "a\x1bO", "\x1b[", "\x1b[[", "\x1b[20", "\x1b\x1b"] {
            assert!(!unfinished(text).is_empty(), "{text:?}");
        }
        for text in [
            "",
            "a[",
            "\x1bOA",
            "\x1b[A",
            "\x1b[[A",
            "\x1b[200~",
            "\x1bb",
        ] {
            assert_eq!(unfinished(text), "", "{text:?}");
        }
    }
}
