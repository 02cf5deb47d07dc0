//! An answer: the output of a command as messages of a chat.
//!
//! Invariant: there are at most [`ANSWER_LINES`](limits::ANSWER_LINES) lines, none is empty, and none is longer than a
//! message.

use serde::{Deserialize, Serialize};

use super::limits;
use crate::message::limits::CHAT_TEXT;

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Messages; not escaped.
    pub lines: Vec<String>,
    /// True if the output had more than is in them.
    pub is_cut: bool,
}

impl Answer {
    /// Returns the answer in an output. `is_cut` tells that the output had more. Empty lines are left out.
    #[must_use]
    pub fn new(output: &[u8], is_cut: bool) -> Self {
        let mut answer = Self {
            lines: Vec::new(),
            is_cut,
        };
        for line in output.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            if line.is_empty() {
                continue;
            }
            if answer.lines.len() == limits::ANSWER_LINES {
                answer.is_cut = true;
                break;
            }
            let mut ends = (0..=line.len().min(CHAT_TEXT)).rev();
            let end = ends.find(|end| line.is_char_boundary(*end));
            let end = end.expect("0 is a boundary");
            answer.is_cut |= end < line.len();
            answer.lines.push(line[..end].to_owned());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_bot_is_cut_at_the_length_of_a_message_and_the_number_of_lines() {
        let whole = |output: &[u8]| {
            let answer = Answer::new(output, false);
            assert!(!answer.is_cut, "{answer:?}");
            answer.lines
        };
        assert_eq!(whole(b""), [""; 0]);
        assert_eq!(whole(b"a\r\n\nb"), ["a", "b"]);
        let most = "x\n".repeat(limits::ANSWER_LINES);
        assert_eq!(whole(most.as_bytes()).len(), limits::ANSWER_LINES);
        let more = Answer::new((most + "y\n").as_bytes(), false);
        assert_eq!(
            (more.lines.len(), more.is_cut),
            (limits::ANSWER_LINES, true)
        );
        // No character is halved.
        let long = Answer::new("\u{20ac}".repeat(CHAT_TEXT / 2).as_bytes(), false);
        assert!(long.is_cut);
        assert_eq!(long.lines, ["\u{20ac}".repeat(CHAT_TEXT / 3)]);
    }
}
