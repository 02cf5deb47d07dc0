//! Thread that reads the lines of a batch and parses them, one line ahead.
//!
//! Not the decision when to read, which is the receiver's. A set of targets may take long to expand, as a command can name
//! its members; that delays the lines behind it, and nothing else. Invariant: a line is passed on as soon as it is read,
//! also if nothing follows it yet.

use std::io::{self, BufRead, BufReader, Read};

use crossbeam_channel::{Receiver, bounded};

use super::Line;
use crate::control::limits;

/// Handle of the thread.
pub struct Lines {
    events: Receiver<io::Result<Line>>,
}

/// Part of the input up to the end of a line.
#[derive(PartialEq, Eq, Debug)]
enum Part {
    /// A line without its end.
    Line,
    /// A line that is longer than [`limits::BATCH_LINE`].
    TooLong,
    /// Nothing follows.
    End,
}

impl Lines {
    /// Starts the thread. `parse` makes a line of its number and bytes.
    ///
    /// # Errors
    /// If the system has no further thread to give.
    pub fn start(
        input: Box<dyn Read + Send>,
        mut parse: impl FnMut(u64, &[u8]) -> Line + Send + 'static,
    ) -> io::Result<Self> {
        // No capacity: the thread itself holds the one line.
        let (sender, events) = bounded(0);
        let thread = std::thread::Builder::new().name("lines".into());
        thread.spawn(move || {
            let mut input = BufReader::with_capacity(limits::STDIN_CHUNK, input);
            let mut bytes = Vec::new();
            for number in 1.. {
                bytes.clear();
                let line = match next(&mut input, &mut bytes) {
                    Ok(Part::End) => return,
                    Ok(Part::Line) if bytes.trim_ascii().is_empty() => continue,
                    Ok(Part::Line) => Ok(parse(number, &bytes)),
                    Ok(Part::TooLong) => Ok(too_long(number)),
                    Err(error) => Err(error),
                };
                // A long line does not occupy its memory for ever.
                bytes.shrink_to(limits::STDIN_CHUNK);
                let is_failed = line.is_err();
                if sender.send(line).is_err() || is_failed {
                    return;
                }
            }
        })?;
        Ok(Self { events })
    }

    /// Returns the channel of lines. It ends at the end of the input, and after an error.
    #[must_use]
    pub const fn events(&self) -> &Receiver<io::Result<Line>> {
        &self.events
    }
}

fn too_long(number: u64) -> Line {
    let most = limits::BATCH_LINE;
    Line {
        number,
        tag: None,
        content: Err(format!("a line has at most {most} bytes")),
    }
}

/// Reads up to the end of a line. Of a line that is too long, the rest is skipped.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Part> {
    let (mut length, mut is_empty) = (0, true);
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let (piece, used) = match end {
            Some(end) => (&buffer[..end], end + 1),
            None => (buffer, buffer.len()),
        };
        is_empty &= used == 0;
        length += piece.len();
        if length <= limits::BATCH_LINE {
            line.extend_from_slice(piece);
        }
        let is_last = end.is_some() || used == 0;
        input.consume(used);
        if is_last {
            return Ok(match length {
                _ if is_empty => Part::End,
                0..=limits::BATCH_LINE => Part::Line,
                _ => Part::TooLong,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_a_newline_or_the_input_and_long_ones_are_skipped() {
        let long = "x".repeat(limits::BATCH_LINE + 1);
        let text = format!("one\n\n{long}\nlast");
        let mut input = BufReader::with_capacity(100, text.as_bytes());
        let mut parts = Vec::new();
        loop {
            let mut line = Vec::new();
            let part = next(&mut input, &mut line).unwrap();
            assert!(line.len() <= limits::BATCH_LINE);
            let is_end = part == Part::End;
            parts.push((part, line.len()));
            if is_end {
                break;
            }
        }
        let lengths: Vec<usize> = parts.iter().map(|(_, length)| *length).collect();
        assert_eq!((lengths[0], lengths[1], lengths[3]), (3, 0, 4));
        let kinds: Vec<&Part> = parts.iter().map(|(part, _)| part).collect();
        let long = &Part::TooLong;
        assert_eq!(
            kinds,
            [&Part::Line, &Part::Line, long, &Part::Line, &Part::End]
        );
    }
}
