//! Kind of the word after those of a command line of ssh(1), for completions.
//!
//! Not the meaning of the words, which [`CommandLine`](super::command_line::CommandLine) has. Invariant: a word is taken for
//! an option, a value, the destination or the command exactly as there.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::command_line::WITH_VALUE;

/// Kind of the next word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Value of the option with this letter.
    Value(u8),
    /// An option or the host.
    Destination,
    /// An option behind the host, or the command.
    Command,
}

/// Returns the kind of the word behind these.
pub fn next(words: &[OsString]) -> Next {
    let (mut is_terminated, mut has_host) = (false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" && !is_terminated {
            is_terminated = true;
        } else if bytes.starts_with(b"-") && bytes.len() > 1 && !is_terminated {
            let letters = &bytes[1..];
            let with_value = letters
                .iter()
                .position(|letter| WITH_VALUE.contains(letter));
            // The value is the next word if the letter is the last of its own.
            if let Some(at) = with_value.filter(|at| at + 1 == letters.len())
                && words.next().is_none()
            {
                return Next::Value(letters[at]);
            }
        } else if has_host {
            return Next::Command;
        } else {
            has_host = true;
        }
    }
    if has_host {
        Next::Command
    } else {
        Next::Destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_completed_behind_options_and_their_values() {
        for (line, expected) in [
            ("", Next::Destination),
            ("-v", Next::Destination),
            ("-p", Next::Value(b'p')),
            ("-p 7001", Next::Destination),
            ("-p7001", Next::Destination),
            ("-vl", Next::Value(b'l')),
            ("-l ann --", Next::Destination),
            ("web1", Next::Command),
            ("-- -p", Next::Command),
            ("web1 -l", Next::Value(b'l')),
            ("web1 ls -l", Next::Command),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            assert_eq!(next(&words), expected, "{line}");
        }
    }
}
