//! Input at a command's terminal: bytes for the command, and escape sequences for `udpctl`, which begin with a tilde at
//! the beginning of a line, as in ssh(1).
//!
//! ```text
//!   ~.   leave    ~^Z   suspend    ~?   list the sequences    ~~   a tilde
//! ```

use bytes::Bytes;

/// Part of the input.
#[derive(PartialEq, Eq, Debug)]
pub enum Key {
    /// Bytes for the command.
    Input(Bytes),
    /// Leave the terminal.
    Leave,
    /// Suspend `udpctl`.
    Suspend,
    /// List the escape sequences.
    Help,
}

/// Position in a line of input.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Position {
    #[default]
    Start,
    /// Behind a tilde at the beginning.
    Tilde,
    Within,
}

/// Control-Z.
const SUSPEND: u8 = 0x1a;

/// Parser of the input.
#[derive(Default, Debug)]
pub struct Keys {
    position: Position,
}

impl Keys {
    /// Parses the next bytes, in chunks of any size. Bytes behind [`Key::Leave`] are dropped.
    pub fn on_typed(&mut self, typed: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut input = Vec::with_capacity(typed.len());
        for &byte in typed {
            let special = match (self.position, byte) {
                (Position::Start, b'~') => {
                    self.position = Position::Tilde;
                    continue;
                }
                (Position::Tilde, b'.') => Some(Key::Leave),
                (Position::Tilde, b'?') => Some(Key::Help),
                (Position::Tilde, SUSPEND) => Some(Key::Suspend),
                (Position::Tilde, b'~') | (Position::Start | Position::Within, _) => None,
                (Position::Tilde, _) => {
                    input.push(b'~');
                    None
                }
            };
            self.position = match (&special, byte) {
                (Some(_), _) | (None, b'\r' | b'\n') => Position::Start,
                (None, _) => Position::Within,
            };
            let Some(special) = special else {
                input.push(byte);
                continue;
            };
            if !input.is_empty() {
                keys.push(Key::Input(std::mem::take(&mut input).into()));
            }
            let last = special == Key::Leave;
            keys.push(special);
            if last {
                return keys;
            }
        }
        if !input.is_empty() {
            keys.push(Key::Input(input.into()));
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(pieces: &[&str]) -> Vec<Key> {
        let mut keys = Keys::default();
        let pieces = pieces.iter();
        pieces
            .flat_map(|piece| keys.on_typed(piece.as_bytes()))
            .collect()
    }

    fn input(text: &'static str) -> Key {
        Key::Input(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_tilde_leaves_at_the_beginning_of_a_line_only() {
        assert_eq!(typed(&["~."]), [Key::Leave]);
        assert_eq!(typed(&["ls\r", "~", "."]), [input("ls\r"), Key::Leave]);
        assert_eq!(typed(&["cd ~.", "\r"]), [input("cd ~."), input("\r")]);
        assert_eq!(typed(&["a\n~?~.b"]), [input("a\n"), Key::Help, Key::Leave]);
        assert_eq!(
            typed(&["~\x1a~", "\x1a\x1a"]),
            [Key::Suspend, Key::Suspend, input("\x1a")]
        );
    }

    #[test]
    fn a_tilde_before_any_other_byte_is_input() {
        assert_eq!(typed(&["~", "x"]), [input("~x")]);
        assert_eq!(typed(&["~~."]), [input("~.")]);
        assert_eq!(typed(&["~\r", "~."]), [input("~\r"), Key::Leave]);
    }

    proptest! {
        #[test]
        fn input_without_a_tilde_is_unchanged(pieces in prop::collection::vec("[^~]{0,9}", 0..9)) {
            let mut keys = Keys::default();
            let mut got = Vec::new();
            for piece in &pieces {
                for key in keys.on_typed(piece.as_bytes()) {
                    let Key::Input(bytes) = key else { panic!("{key:?}") };
                    got.extend_from_slice(&bytes);
                }
            }
            prop_assert_eq!(got, pieces.concat().into_bytes());
        }
    }
}
