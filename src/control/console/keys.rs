//! What the user types at a command's terminal: the command's, but for a tilde at the beginning of a line,
//! as ssh(1) has it.
//!
//! ```text
//!   ~.   leave    ~?   what there is    ~~   a tilde
//! ```

use bytes::Bytes;

/// A stretch of input.
#[derive(PartialEq, Eq, Debug)]
pub enum Key {
    /// For the command.
    Input(Bytes),
    /// The user wants to leave.
    Leave,
    /// The user asks what there is.
    Help,
}

/// Where in a line the input stands.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Place {
    #[default]
    Start,
    /// Behind a tilde at the start.
    Tilde,
    Within,
}

/// Tells what is meant for whom.
#[derive(Default, Debug)]
pub struct Keys {
    place: Place,
}

impl Keys {
    /// The next bytes that were typed, in any pieces. What follows [`Key::Leave`] is dropped.
    pub fn on_typed(&mut self, typed: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut input = Vec::with_capacity(typed.len());
        for &byte in typed {
            let special = match (self.place, byte) {
                (Place::Start, b'~') => {
                    self.place = Place::Tilde;
                    continue;
                }
                (Place::Tilde, b'.') => Some(Key::Leave),
                (Place::Tilde, b'?') => Some(Key::Help),
                (Place::Tilde, b'~') => None,
                (Place::Tilde, _) => {
                    input.push(b'~');
                    None
                }
                _ => None,
            };
            self.place = match (&special, byte) {
                (Some(_), _) | (None, b'\r' | b'\n') => Place::Start,
                (None, _) => Place::Within,
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
    }

    #[test]
    fn a_tilde_that_means_nothing_is_passed_on() {
        assert_eq!(typed(&["~", "x"]), [input("~x")]);
        assert_eq!(typed(&["~~."]), [input("~.")]);
        assert_eq!(typed(&["~\r", "~."]), [input("~\r"), Key::Leave]);
    }

    proptest! {
        #[test]
        fn what_holds_no_tilde_passes_as_it_is(pieces in prop::collection::vec("[^~]{0,9}", 0..9)) {
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
