//! Escaping of text that a peer wrote, for a terminal, a log line or an error message; quoting for a shell.
//!
//! Not an encoding: nothing decodes it. Invariant: the result is one line of valid UTF-8 of bounded
//! length, without C0, C1, DEL, line or paragraph separators, bidirectional controls, zero-width or
//! other invisible characters. Text without any of these is returned unchanged.
//!
//! Letters of right-to-left scripts, private-use characters and all kinds of spaces are kept.
//! Combining marks are kept if they follow a letter and are [few](MAX_MARKS). Of the variation
//! selectors only U+FE0F is kept, and only after a symbol, as in common emoji. Joiners are never
//! kept.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// Combining marks that one character may carry. Vietnamese and pointed Hebrew need up to three;
/// dozens of them overwrite the lines above and below.
pub const MAX_MARKS: u32 = 4;

/// Characters that are invisible or change the display of others, as inclusive ranges in ascending
/// order.
///
/// Unicode's `Default_Ignorable_Code_Point`, `Bidi_Control`, controls, separators, and format
/// characters without a glyph.
const HIDDEN: &[(char, char)] = &[
    ('\0', '\u{1f}'),           // C0
    ('\u{7f}', '\u{9f}'),       // DEL and C1
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark (bidi)
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian variation selectors, vowel separator
    ('\u{200b}', '\u{200f}'),   // zero-width space and joiners, bidi marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separator, bidi embeddings and overrides
    ('\u{2060}', '\u{206f}'), // word joiner, invisible operators, bidi isolates, deprecated controls
    ('\u{3164}', '\u{3164}'), // Hangul filler
    ('\u{fdd0}', '\u{fdef}'), // noncharacters
    ('\u{fe00}', '\u{fe0f}'), // variation selectors; see `emoji_selector`
    ('\u{feff}', '\u{feff}'), // byte order mark
    ('\u{ffa0}', '\u{ffa0}'), // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffb}'), // reserved ignorables, interlinear annotation
    ('\u{13430}', '\u{1343f}'), // Egyptian format controls
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors supplement, reserved ignorables
];

/// Escapes lossy UTF-8 for one line: controls as `\n`, `\t`, `\r`, others as `\u{202e}`, and bytes
/// that are not UTF-8 as `\xff`. A backslash stays a backslash. At most `max` bytes of input are
/// shown, followed by ` [+N bytes]` for the rest.
///
/// The result has at most `6 * max + 32` bytes.
#[must_use]
pub fn line(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let shown = &bytes[..cut(bytes, max)];
    if shown.len() == bytes.len()
        && let Ok(text) = std::str::from_utf8(bytes)
        && is_clean(text)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(shown.len() + 32);
    let mut context = Context::default();
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            if context.shows(c) {
                out.push(c);
            } else {
                escape(c, &mut out);
            }
        }
        for byte in chunk.invalid() {
            context = Context::default();
            write_infallible(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    if shown.len() < bytes.len() {
        let rest = bytes.len() - shown.len();
        write_infallible(&mut out, format_args!(" [+{rest} bytes]"));
    }
    Cow::Owned(out)
}

/// Returns true if [`line()`] returns the text unchanged, given a sufficient `max`.
#[must_use]
pub fn is_clean(text: &str) -> bool {
    let mut context = Context::default();
    text.chars().all(|c| context.shows(c))
}

/// Number of bytes to show: at most `max`, not ending inside a character.
fn cut(bytes: &[u8], max: usize) -> usize {
    if bytes.len() <= max {
        return bytes.len();
    }
    // A character has at most three continuation bytes; more of them are not UTF-8 and may be split.
    let inside = |at: usize| bytes[at] & 0xc0 == 0x80;
    (max.saturating_sub(3)..=max)
        .rev()
        .find(|at| !inside(*at))
        .unwrap_or(max)
}

/// The context that decides, with the character itself, about showing a character.
#[derive(Default)]
struct Context {
    /// Last character shown that is not a mark. `None` at the start and after an escape, where a
    /// mark would change text that is not the peer's.
    base: Option<char>,
    marks: u32,
}

impl Context {
    /// Returns true if `c` may be shown in this context, and adds it to the context.
    fn shows(&mut self, c: char) -> bool {
        if emoji_selector(self.base, self.marks, c) {
            self.marks += 1;
            return true;
        }
        if is_hidden(c) {
            *self = Self::default();
            return false;
        }
        if c.width() != Some(0) {
            *self = Self {
                base: Some(c),
                marks: 0,
            };
            return true;
        }
        self.marks = self.marks.saturating_add(1);
        self.base.is_some() && self.marks <= MAX_MARKS
    }
}

/// Returns true for U+FE0F directly after a symbol, which asks for the coloured form, as in U+2764
/// U+FE0F. Symbols that have one begin at U+203C, except U+00A9 and U+00AE.
fn emoji_selector(base: Option<char>, marks: u32, c: char) -> bool {
    c == '\u{fe0f}'
        && marks == 0
        && base.is_some_and(|base| base >= '\u{203c}' || matches!(base, '\u{a9}' | '\u{ae}'))
}

fn is_hidden(c: char) -> bool {
    // The last two code points of every plane are noncharacters.
    let noncharacter = u32::from(c) & 0xfffe == 0xfffe;
    let after = HIDDEN.partition_point(|(first, _)| *first <= c);
    noncharacter || after > 0 && c <= HIDDEN[after - 1].1
}

fn escape(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => write_infallible(out, format_args!("\\u{{{:x}}}", u32::from(c))),
    }
}

fn write_infallible(out: &mut String, text: std::fmt::Arguments) {
    out.write_fmt(text)
        .expect("writing to a string never fails");
}

/// Returns a line of JSON in which characters that are invisible or change the display of others are written as `\u` and four
/// hexadecimal digits.
/// They occur only in strings, so that the value is the same.
#[must_use]
pub fn json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write_infallible(&mut out, format_args!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Quotes a word for a POSIX shell, if it needs quotes.
#[must_use]
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+-./:@]_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs of lines: `< input` in the notation of a Rust byte string with `\u{…}`, then `>
    /// shown`.
    const GOLDEN: &str = include_str!("golden.txt");

    /// Decodes the notation of the golden file.
    fn unescape(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            out.extend_from_slice(&rest.as_bytes()[..at]);
            let (byte, tail) = match rest.as_bytes()[at + 1] {
                b'x' => {
                    let byte = u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap();
                    (vec![byte], &rest[at + 4..])
                }
                b'u' => {
                    let end = at + rest[at..].find('}').unwrap();
                    let code = u32::from_str_radix(&rest[at + 3..end], 16).unwrap();
                    let c = char::from_u32(code).unwrap();
                    (c.to_string().into_bytes(), &rest[end + 1..])
                }
                b'n' => (vec![b'\n'], &rest[at + 2..]),
                b'r' => (vec![b'\r'], &rest[at + 2..]),
                b't' => (vec![b'\t'], &rest[at + 2..]),
                b'0' => (vec![0], &rest[at + 2..]),
                b'\\' => (vec![b'\\'], &rest[at + 2..]),
                other => panic!("no such escape: {}", char::from(other)),
            };
            out.extend(byte);
            rest = tail;
        }
        out.extend_from_slice(rest.as_bytes());
        out
    }

    #[test]
    fn a_word_is_quoted_for_a_shell_only_if_it_has_to_be() {
        assert_eq!(shell_word("/srv/a-b_c.d:7000"), "/srv/a-b_c.d:7000");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn json_has_escapes_for_hidden_characters_and_the_same_value() {
        let text = "grüße \u{7}\u{9b}2J\u{202e}\u{e0001}\u{2764}\u{fe0f} 你好";
        let shown = json(&serde_json::to_string(text).unwrap());
        assert_eq!(
            shown,
            r#""grüße \u0007\u009b2J\u202e\udb40\udc01❤\ufe0f 你好""#
        );
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn hostile_input_is_escaped_as_in_the_golden_file() {
        let mut input = None;
        let mut cases = 0;
        for text in GOLDEN.lines() {
            if let Some(text) = text.strip_prefix("< ") {
                input = Some(unescape(text));
            } else if let Some(shown) = text.strip_prefix("> ") {
                let bytes = input
                    .take()
                    .expect("each `> shown` line follows a `< input` line");
                assert_eq!(line(&bytes, 64), shown, "input {}", bytes.escape_ascii());
                cases += 1;
            } else {
                assert!(
                    text.is_empty() || text.starts_with('#'),
                    "unexpected line: {text}"
                );
            }
        }
        assert!(cases > 40, "only {cases} cases were read");
    }

    #[test]
    fn the_table_of_hidden_characters_is_in_ascending_order() {
        for pair in HIDDEN.windows(2) {
            assert!(pair[0].0 <= pair[0].1 && pair[0].1 < pair[1].0, "{pair:?}");
        }
    }

    #[test]
    fn every_hidden_character_is_escaped_in_every_position() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let text = format!("a{c}b\u{2764}{c}");
            if is_hidden(c) && c != '\u{fe0f}' {
                assert!(!line(text.as_bytes(), 100).contains(c), "{c:?}");
            } else if c.width() != Some(0) {
                assert_eq!(line(text.as_bytes(), 100), text);
            }
        }
    }

    #[test]
    fn text_without_hidden_characters_is_not_copied() {
        let text = "grüße, 你好 שלום \\n \u{2764}\u{fe0f} e\u{301}";
        assert!(matches!(line(text.as_bytes(), 100), Cow::Borrowed(shown) if shown == text));
    }

    #[test]
    fn truncation_is_announced_and_never_splits_a_character() {
        assert_eq!(line("aé".as_bytes(), 2), "a [+2 bytes]");
        assert_eq!(line(b"abc", 0), " [+3 bytes]");
        assert_eq!(line(&[0x80; 9], 5), "\\x80\\x80\\x80\\x80\\x80 [+4 bytes]");
    }

    /// Bytes among which characters to escape are common.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            proptest::sample::select(HIDDEN).prop_map(|(first, _)| first.to_string().into_bytes()),
            (0x300_u32..0x370)
                .prop_map(|code| { char::from_u32(code).unwrap().to_string().into_bytes() }),
            any::<u8>().prop_map(|byte| vec![byte]),
            "[ -~]{1,3}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_result_is_one_line_without_control_characters(bytes in hostile(), max in 0_usize..300) {
            let shown = line(&bytes, max);
            prop_assert!(is_clean(&shown));
            let bidi = '\u{202a}'..='\u{202e}';
            let harmful = |c: char| c.is_control() || bidi.contains(&c);
            prop_assert!(!shown.chars().any(harmful));
            prop_assert!(shown.len() <= 6 * max + 32);
        }

        #[test]
        fn escaping_escaped_text_changes_nothing(bytes in hostile()) {
            let once = line(&bytes, usize::MAX).into_owned();
            prop_assert_eq!(line(once.as_bytes(), usize::MAX), once.as_str());
        }

        #[test]
        fn the_number_of_combining_marks_is_bounded(marks in 0_usize..50, base in "[a-z]?") {
            let text = base + &"\u{336}".repeat(marks);
            let shown = line(text.as_bytes(), usize::MAX).matches('\u{336}').count();
            prop_assert!(shown <= MAX_MARKS as usize);
        }
    }
}
