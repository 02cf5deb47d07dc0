//! Input at a command's terminal: bytes for the command, and escape sequences for `udpctl`, which begin with a tilde, or
//! another character, at the beginning of a line, as in ssh(1).
//!
//! ```text
//!   ~.   leave    ~^Z   suspend    ~?   list the sequences    ~~   a tilde
//! ```
//!
//! Invariant: without an escape character, every byte is input.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

/// Character that begins an escape sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Escape {
    /// There is none.
    Off,
    /// This byte.
    Byte(u8),
}

impl Default for Escape {
    fn default() -> Self {
        Self::Byte(b'~')
    }
}

/// Error: a text names no escape character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseEscapeError;

impl fmt::Display for ParseEscapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a character, ^ and a letter, or none is expected")
    }
}

impl std::error::Error for ParseEscapeError {}

/// `none`, a character of ASCII, or a control character such as `^B`, as in ssh(1).
impl FromStr for Escape {
    type Err = ParseEscapeError;

    fn from_str(text: &str) -> Result<Self, ParseEscapeError> {
        match *text.as_bytes() {
            [b'n', b'o', b'n', b'e'] => Ok(Self::Off),
            [byte] if byte.is_ascii_graphic() => Ok(Self::Byte(byte)),
            [b'^', letter] if letter.is_ascii_graphic() => Ok(Self::Byte(letter & 0x1f)),
            _ => Err(ParseEscapeError),
        }
    }
}

impl Escape {
    /// Returns the escape sequences in words; empty if there are none.
    #[must_use]
    pub fn help(self) -> String {
        let character = match self {
            Self::Off => return String::new(),
            Self::Byte(byte) if byte.is_ascii_control() => format!("^{}", char::from(byte ^ 0x40)),
            Self::Byte(byte) => char::from(byte).to_string(),
        };
        let itself = match self {
            Self::Byte(b'~') => "a tilde",
            Self::Byte(_) | Self::Off => "itself",
        };
        let c = &character;
        format!("{c}. leaves, {c}^Z suspends, {c}{c} is {itself}, {c}? lists these")
    }
}

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
    /// Behind an escape character at the beginning.
    Escaped,
    Within,
}

/// Control-Z.
const SUSPEND: u8 = 0x1a;

/// Parser of the input.
#[derive(Default, Debug)]
pub struct Keys {
    escape: Escape,
    position: Position,
}

impl Keys {
    /// Creates a parser at the beginning of a line.
    #[must_use]
    pub fn new(escape: Escape) -> Self {
        Self {
            escape,
            position: Position::Start,
        }
    }

    /// Parses the next bytes, in chunks of any size. Bytes behind [`Key::Leave`] are dropped.
    pub fn on_typed(&mut self, typed: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut input = Vec::with_capacity(typed.len());
        for &byte in typed {
            let special = match (self.position, byte) {
                (Position::Start, byte) if self.escape == Escape::Byte(byte) => {
                    self.position = Position::Escaped;
                    continue;
                }
                (Position::Escaped, b'.') => Some(Key::Leave),
                (Position::Escaped, b'?') => Some(Key::Help),
                (Position::Escaped, SUSPEND) => Some(Key::Suspend),
                (Position::Escaped, other) => {
                    if let Escape::Byte(escape) = self.escape
                        && escape != other
                    {
                        input.push(escape);
                    }
                    None
                }
                (Position::Start | Position::Within, _) => None,
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

    #[test]
    fn another_escape_character_takes_the_place_of_the_tilde() {
        let keys =
            |text: &str, typed: &str| Keys::new(text.parse().unwrap()).on_typed(typed.as_bytes());
        assert_eq!(keys("%", "%."), [Key::Leave]);
        assert_eq!(keys("%", "~.%."), [input("~.%.")]);
        assert_eq!(keys("%", "~.\r%%%x"), [input("~.\r%%x")]);
        assert_eq!(keys("^B", "\x02?\x02\x02"), [Key::Help, input("\x02")]);
        assert_eq!(keys("none", "~.\r~~"), [input("~.\r~~")]);
        for text in ["", "ab", "^ ", "\u{e9}", "None"] {
            assert_eq!(text.parse::<Escape>(), Err(ParseEscapeError), "{text}");
        }
    }

    #[test]
    fn the_escape_sequences_are_listed_with_their_character() {
        let help = |text: &str| text.parse::<Escape>().unwrap().help();
        assert_eq!(
            help("~"),
            "~. leaves, ~^Z suspends, ~~ is a tilde, ~? lists these"
        );
        assert_eq!(
            help("^B"),
            "^B. leaves, ^B^Z suspends, ^B^B is itself, ^B? lists these"
        );
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
