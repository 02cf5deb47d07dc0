//! Lines that the agent's user types or pipes, where there is no prompt.
//!
//! Not their reading. Invariant: a line is as long as a message at most.

use std::io::{self, BufRead as _, Read as _};

use crate::message::limits::CHAT_TEXT;

/// Input of the agent's user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// `quit`, or the end of input on a terminal: the agent must end.
    Quit,
    /// The end of input on a terminal, in the place of an answer.
    Refused,
}

/// Returns the input of a line that a person has typed; `None` for a command of the prompt, which nobody else is to read: the log says
/// so.
pub fn of_person(line: String) -> Option<Typed> {
    Some(match line.strip_prefix('/') {
        None => Typed::Line(line),
        Some("quit") => Typed::Quit,
        Some(escaped) if escaped.starts_with('/') => Typed::Line(escaped.to_owned()),
        Some(_) => {
            tracing::warn!(
                "what was typed is not sent: a line that begins with / is a command, and there is no prompt"
            );
            return None;
        }
    })
}

/// Returns the next line, or `None` at the end of input.
pub fn next_line(reader: &mut impl io::BufRead) -> io::Result<Option<Typed>> {
    let mut line = Vec::new();
    let most = u64::try_from(CHAT_TEXT).expect("the bound fits into 64 bits");
    // A line longer than a message is split.
    if reader.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Some(match line.strip_suffix(b"\r").unwrap_or(line) {
        b"quit" => Typed::Quit,
        line => Typed::Line(String::from_utf8_lossy(line).into_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quit_and_the_end_of_input_are_distinguished_from_lines() {
        let mut input: &[u8] = b"hello\r\n\nquit\nlast";
        let mut typed = Vec::new();
        while let Some(line) = next_line(&mut input).unwrap() {
            typed.push(line);
        }
        let line = |text: &str| Typed::Line(text.into());
        assert_eq!(typed, [line("hello"), line(""), Typed::Quit, line("last")]);
    }

    #[test]
    fn a_command_that_is_typed_without_a_prompt_is_said_to_nobody() {
        let line = |text: &str| Some(Typed::Line(text.into()));
        assert_eq!(of_person("/msg ann secret".into()), None);
        assert_eq!(of_person("/who".into()), None);
        assert_eq!(of_person("/exec id".into()), None);
        assert_eq!(of_person("//etc".into()), line("/etc"));
        assert_eq!(of_person("hello /who".into()), line("hello /who"));
        assert_eq!(of_person("/quit".into()), Some(Typed::Quit));
    }

    #[test]
    fn a_line_longer_than_a_message_is_split() {
        let bytes = vec![b'x'; 3 * CHAT_TEXT];
        let mut input = &bytes[..];
        for _ in 0..3 {
            let piece = Typed::Line("x".repeat(CHAT_TEXT));
            assert_eq!(next_line(&mut input).unwrap(), Some(piece));
        }
        assert_eq!(next_line(&mut input).unwrap(), None);
    }
}
