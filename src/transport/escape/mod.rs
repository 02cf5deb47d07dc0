//! Escaping of text that a peer wrote, for a terminal, a log line or an error message; quoting for a shell.
//!
//! Not an encoding: nothing decodes it. Invariant: the result is one line of valid UTF-8 of bounded
//! length, without C0, C1, DEL, line or paragraph separators and bidirectional controls, and without other zero-width
//! or invisible characters where the spelling of a language does not have them. Text without any of these is returned unchanged.
//!
//! Letters of right-to-left scripts, private-use characters and all kinds of spaces are kept.
//! Combining marks are kept if they follow a letter and are [few](MAX_MARKS). Variation selectors,
//! joiners and zero-width spaces are kept where emoji and the spelling of languages need them, see the module `context`. A
//! [`message`] with letters of right-to-left scripts is isolated from the text around it. Two messages may look alike: what has to
//! be unique, as a name, is ASCII.

mod context;
mod scripts;

use std::borrow::Cow;
use std::fmt::Write as _;

use self::context::Context;
pub use self::context::{MAX_JOINERS, MAX_MARKS, MAX_MARKS_STACKED};

/// Characters that are invisible or change the display of others, as inclusive ranges in ascending
/// order.
///
/// Unicode's `Default_Ignorable_Code_Point`, `Bidi_Control`, controls, separators, and format
/// characters without a glyph.
const HIDDEN: &[(char, char)] = &[
    ('\0', '\u{1f}'),           // C0
    ('\u{7f}', '\u{9f}'),       // DEL and C1
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner; see `context`
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark (bidi)
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian variation selectors, vowel separator; see `context`
    ('\u{200b}', '\u{200f}'),   // zero-width space and joiners, see `context`; bidi marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separator, bidi embeddings and overrides
    ('\u{2060}', '\u{206f}'), // word joiner, invisible operators, bidi isolates, deprecated controls
    ('\u{3164}', '\u{3164}'), // Hangul filler
    ('\u{fdd0}', '\u{fdef}'), // noncharacters
    ('\u{fe00}', '\u{fe0f}'), // variation selectors; see `context`
    ('\u{feff}', '\u{feff}'), // byte order mark
    ('\u{ffa0}', '\u{ffa0}'), // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffb}'), // reserved ignorables, interlinear annotation
    ('\u{13430}', '\u{1343f}'), // Egyptian format controls
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors supplement, see `context`; reserved ignorables
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
        let mut rest = chunk.valid().chars();
        while let Some(c) = rest.next() {
            if context.shows(c, &rest) {
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
    // Nearly all text; its characters depend on no context.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
    if text.bytes().all(is_plain) {
        return true;
    }
    let mut context = Context::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if !context.shows(c, &rest) {
            return false;
        }
    }
    true
}

/// Escapes a message as [`line()`] does. If it has letters of a right-to-left script, it is enclosed in U+2068 (first strong
/// isolate) and U+2069, so that it changes the order of nothing around it; it cannot contain these itself.
#[must_use]
pub fn message(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let line = line(bytes, max);
    if line.chars().any(is_right_to_left) {
        Cow::Owned(format!("\u{2068}{line}\u{2069}"))
    } else {
        line
    }
}

/// Returns true for the blocks of right-to-left scripts.
const fn is_right_to_left(c: char) -> bool {
    matches!(
        c,
        '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1efff}'
    )
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

/// Returns true for a character that is invisible or changes the display of others, in every context.
#[must_use]
pub fn is_hidden(c: char) -> bool {
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
pub fn json(line: &str) -> Cow<'_, str> {
    if line.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c != '\n' && is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write_infallible(&mut out, format_args!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
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
    use unicode_width::UnicodeWidthChar as _;

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
        let plain = serde_json::to_string(text).unwrap();
        let shown = json(&plain);
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
    fn every_hidden_character_is_escaped_among_letters_and_at_the_end() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let text = format!("a{c}b\u{2764}{c}");
            if is_hidden(c) && !matches!(c, '\u{fe0e}' | '\u{fe0f}') {
                assert!(!line(text.as_bytes(), 100).contains(c), "{c:?}");
            } else if c.width() != Some(0) {
                assert_eq!(line(text.as_bytes(), 100), text);
            }
        }
    }

    #[test]
    fn a_message_in_a_right_to_left_script_is_isolated() {
        for text in ["hello", "你好", "नमस्ते", "a\u{202e}b"] {
            assert_eq!(message(text.as_bytes(), 100), line(text.as_bytes(), 100));
        }
        assert_eq!(
            message("שלום (1)".as_bytes(), 100),
            "\u{2068}שלום (1)\u{2069}"
        );
        assert_eq!(
            message("مرحبا\u{2069}\u{202e}".as_bytes(), 100),
            "\u{2068}مرحبا\\u{2069}\\u{202e}\u{2069}"
        );
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
            proptest::sample::select(vec![
                "\u{200b}", "\u{200c}", "\u{200d}", "\u{fe0f}", "\u{20e3}", "\u{94d}", "\u{9cd}",
                "\u{17ca}", "\u{d41}", "\u{5b4}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            proptest::sample::select(vec![
                "\u{1f469}",
                "\u{2764}",
                "1",
                "a",
                "\u{915}",
                "\u{645}",
                "\u{9b0}",
                "\u{9af}",
                "\u{d15}",
                "\u{1780}",
                "\u{e01}",
                "\u{1820}",
                "\u{5d0}",
                "\u{845b}",
                "\u{647}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            proptest::sample::select(vec![
                "\u{180b}",
                "\u{180e}",
                "\u{34f}",
                "\u{e0100}",
                "\u{fe00}",
                "\u{fe0e}",
                "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            (0x300_u32..0x370)
                .prop_map(|code| { char::from_u32(code).unwrap().to_string().into_bytes() }),
            any::<u8>().prop_map(|byte| vec![byte]),
            "[ -~]{1,3}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn printable_ascii_is_shown_in_every_context_of_its_own() {
        for (first, next) in
            (' '..='~').flat_map(|first| (' '..='~').map(move |next| (first, next)))
        {
            let mut context = Context::default();
            let text = next.to_string();
            assert!(
                context.shows(first, &text.chars()) && context.shows(next, &"".chars()),
                "{first}{next}"
            );
        }
        assert!(!is_clean("a\n") && !is_clean("\x7f") && is_clean("a~ z"));
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
        fn joiners_are_bounded_and_at_an_end_only_after_a_virama(bytes in hostile()) {
            let shown = line(&bytes, usize::MAX);
            let joiner = |c: char| matches!(c, '\u{200b}'..='\u{200d}');
            prop_assert!(!shown.starts_with(joiner));
            let before = shown.trim_end_matches(joiner);
            let after_virama = before.ends_with(scripts::is_virama);
            prop_assert!(after_virama || before == shown);
            let is_pair = |(one, other)| joiner(one) && joiner(other);
            prop_assert!(!shown.chars().zip(shown.chars().skip(1)).any(is_pair));
            let is_of_emoji = |c: char| scripts::is_symbol(c) || matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
            for emoji in shown.split(|c| !is_of_emoji(c)) {
                prop_assert!(emoji.matches('\u{200d}').count() <= MAX_JOINERS as usize, "{shown:?}");
            }
        }

        #[test]
        fn nothing_hidden_joins_a_latin_letter_and_no_text_is_in_it(bytes in hostile()) {
            let shown = line(&bytes, usize::MAX);
            let all: Vec<char> = shown.chars().collect();
            for (at, c) in all.iter().enumerate().filter(|(_, c)| is_hidden(**c)) {
                prop_assert!(at > 0, "{shown:?}");
                let is_keycap = matches!(c, '\u{fe0e}' | '\u{fe0f}') && all.get(at + 1) == Some(&'\u{20e3}');
                prop_assert!(!all[at - 1].is_ascii() || is_keycap, "{shown:?}");
                let is_latin = |c: &char| c.is_ascii_alphanumeric();
                let joins = matches!(c, '\u{200b}'..='\u{200d}' | '\u{180e}' | '\u{34f}');
                prop_assert!(!joins || !all.get(at + 1).is_some_and(is_latin), "{shown:?}");
            }
            // At most one hidden character for one that is seen, but for the tags of a flag.
            let tags = |c: &char| matches!(c, '\u{e0020}'..='\u{e007f}');
            let hidden = all.iter().filter(|c| is_hidden(**c) && !tags(c)).count();
            prop_assert!(hidden <= all.len() - hidden, "{shown:?}");
            let flags = shown.matches('\u{1f3f4}').count();
            prop_assert!(all.iter().filter(|c| tags(c)).count() <= 6 * flags, "{shown:?}");
        }

        #[test]
        fn the_number_of_combining_marks_is_bounded(marks in 0_usize..50, base in "[a-z]?") {
            let text = base + &"\u{336}".repeat(marks);
            let shown = line(text.as_bytes(), usize::MAX).matches('\u{336}').count();
            prop_assert!(shown <= MAX_MARKS as usize);
        }
    }
}
