//! Words of a command that differ from host to host: `%h` and `%n`, as in pdsh(1).
//!
//! Invariant: everything else, `%` in front of another character included, stays byte for byte.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::message::OsText;

/// Words that stand for a host.
#[derive(Clone, Copy, Debug)]
pub struct HostWords<'a> {
    /// Host of the target, without its port: `%h`.
    pub host: &'a str,
    /// Place of the target in the run, from 0: `%n`.
    pub rank: usize,
}

/// Returns `argv` for one host: with its name for `%h`, its place for `%n`, and `%` for `%%`.
#[must_use]
pub fn substitute(argv: &[OsText], words: HostWords<'_>) -> Vec<OsText> {
    argv.iter().map(|word| substituted(word, words)).collect()
}

fn substituted(word: &OsText, words: HostWords<'_>) -> OsText {
    let bytes = word.as_os_str().as_bytes();
    if !bytes.contains(&b'%') {
        return word.clone();
    }
    let mut text = Vec::with_capacity(bytes.len() + words.host.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let next = (byte == b'%').then(|| rest.peek().copied()).flatten();
        match next {
            Some(b'h') => text.extend_from_slice(words.host.as_bytes()),
            Some(b'n') => text.extend_from_slice(words.rank.to_string().as_bytes()),
            Some(b'%') => text.push(b'%'),
            Some(_) | None => {
                text.push(byte);
                continue;
            }
        }
        rest.next();
    }
    OsString::from_vec(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_words_and_the_doubled_sign_are_replaced() {
        let words = HostWords {
            host: "web1",
            rank: 12,
        };
        for (word, substituted) in [
            ("%h", "web1"),
            ("a%hb%n%n", "aweb1b1212"),
            ("100%%", "100%"),
            ("%%h", "%h"),
            ("%d %", "%d %"),
            ("date +%H:%M", "date +%H:%M"),
            ("", ""),
        ] {
            assert_eq!(
                substitute(&[word.into()], words),
                [substituted.into()],
                "{word}"
            );
        }
        let bytes = OsString::from_vec(vec![0xff, b'%', b'n', 0xfe]);
        let wanted = OsString::from_vec(vec![0xff, b'1', b'2', 0xfe]);
        assert_eq!(substitute(&[bytes.into()], words), [wanted.into()]);
    }
}
