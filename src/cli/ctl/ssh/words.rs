//! Words of the value of an option of ssh(1), with its quotes and backslashes.
//!
//! Not the meaning of the words. Invariant: a quote that is not closed is an error, never the end of a word.

use anyhow::{Result, bail};

/// Splits `-o "Key Value"` or `-o Key=Value` into key and value, as ssh_config(5) does: at white space or one `=`.
pub fn key_and_value(text: &str) -> (&str, &str) {
    let text = text.trim();
    let is_end = |letter: char| letter.is_ascii_whitespace() || letter == '=';
    let Some(end) = text.find(is_end) else {
        return (text, "");
    };
    let (key, rest) = text.split_at(end);
    let rest = rest.trim_start();
    (key, rest.strip_prefix('=').unwrap_or(rest).trim_start())
}

/// Splits a value into words. A word may be quoted, in whole or in part, by either quote; a backslash takes a quote, a
/// backslash or a space literally; `#` at the beginning of a word begins a comment.
pub fn split(value: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut letters = value.chars().peekable();
    loop {
        while letters.next_if(char::is_ascii_whitespace).is_some() {}
        if matches!(letters.peek(), None | Some('#')) {
            return Ok(words);
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(letter) = letters.next_if(|&l| quote.is_some() || !l.is_ascii_whitespace()) {
            let escaped =
                |next: &char| matches!(next, '"' | '\'' | '\\') || quote.is_none() && *next == ' ';
            match letter {
                '\\' => word.push(letters.next_if(escaped).unwrap_or('\\')),
                '"' | '\'' if quote.is_none() => quote = Some(letter),
                _ if quote == Some(letter) => quote = None,
                _ => word.push(letter),
            }
        }
        if quote.is_some() {
            bail!("a quote is not closed");
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_white_space_or_at_one_equals_sign() {
        for (text, key, value) in [
            ("Port=22", "Port", "22"),
            ("Port 22", "Port", "22"),
            (" Port = 22 ", "Port", "22"),
            ("SetEnv=A=B", "SetEnv", "A=B"),
            ("SetEnv A=B", "SetEnv", "A=B"),
            ("Port", "Port", ""),
            ("Port==", "Port", "="),
        ] {
            assert_eq!(key_and_value(text), (key, value), "{text}");
        }
    }

    #[test]
    fn words_may_be_quoted_and_escaped() {
        for (value, words) in [
            ("", &[][..]),
            ("a  b", &["a", "b"]),
            ("\"a b\" c", &["a b", "c"]),
            ("A=\"x y\"z", &["A=x yz"]),
            ("'a\"b'", &["a\"b"]),
            (r#""a\"b""#, &["a\"b"]),
            (r"a\ b", &["a b"]),
            (r"a\n\\", &[r"a\n\"]),
            ("\"\"", &[""]),
            ("a #b", &["a"]),
            ("a#b", &["a#b"]),
        ] {
            assert_eq!(split(value).unwrap(), words, "{value}");
        }
        assert!(split("\"a").is_err());
        assert!(split("'a\"").is_err());
    }
}
