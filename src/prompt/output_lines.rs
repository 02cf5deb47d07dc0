//! Lines of a command's outputs, up to a bound.
//!
//! Not their escaping. Invariant: what is held is bounded, and every byte is in a line or counted as not shown.

use super::limits::{OUTPUT, OUTPUT_LINE, OUTPUT_LINES};
use crate::message::report::Output;

/// Lines of both outputs of a command.
#[derive(Default, Debug)]
pub struct OutputLines {
    /// Lines that have not ended; indexed by [`Output`].
    partial: [Vec<u8>; 2],
    lines: usize,
    bytes: usize,
    hidden: u64,
}

impl OutputLines {
    /// Counts bytes as shown, before the first ones are taken. Their lines are not known.
    pub fn begin_after(&mut self, bytes: u64) {
        self.bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// Takes the next bytes of an output. Returns the lines that have ended, without their ends.
    pub fn push(&mut self, output: Output, data: &[u8]) -> Vec<Vec<u8>> {
        let mut ended = Vec::new();
        let mut rest = data;
        while !rest.is_empty() {
            if self.is_full() {
                // At once, whatever its lines are: a command may write without end.
                self.hide(output, rest.len());
                break;
            }
            let partial = &mut self.partial[output as usize];
            let most = rest.len().min(OUTPUT_LINE - partial.len());
            let newline = rest[..most].iter().position(|&byte| byte == b'\n');
            let (taken, left) = rest.split_at(newline.map_or(most, |at| at + 1));
            partial.extend_from_slice(taken);
            rest = left;
            let whole = if newline.is_some() {
                partial.len()
            } else if partial.len() == OUTPUT_LINE {
                whole_characters(partial)
            } else {
                break;
            };
            ended.push(self.take(output, whole));
        }
        ended
    }

    /// Number of bytes that are held of a line of an output that has not ended.
    pub fn held(&self, output: Output) -> usize {
        self.partial[output as usize].len()
    }

    /// Returns the last line of an output that has ended, if it has no end.
    pub fn finish(&mut self, output: Output) -> Vec<Vec<u8>> {
        let length = self.partial[output as usize].len();
        if length == 0 {
            return Vec::new();
        }
        if self.is_full() {
            self.hide(output, 0);
            return Vec::new();
        }
        vec![self.take(output, length)]
    }

    /// Returns the number of bytes that are in no line.
    pub const fn hidden(&self) -> u64 {
        self.hidden
    }

    /// Counts bytes of an output as not shown, after those that are held.
    fn hide(&mut self, output: Output, bytes: usize) {
        let partial = &mut self.partial[output as usize];
        self.hidden += (partial.len() + bytes) as u64;
        partial.clear();
    }

    const fn is_full(&self) -> bool {
        self.lines >= OUTPUT_LINES || self.bytes >= OUTPUT
    }

    fn take(&mut self, output: Output, length: usize) -> Vec<u8> {
        let partial = &mut self.partial[output as usize];
        let rest = partial.split_off(length);
        let mut line = std::mem::replace(partial, rest);
        self.lines += 1;
        self.bytes += line.len();
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        line
    }
}

/// Returns the length without a character of UTF-8 at the end that is not complete.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        Ok(_) | Err(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_lines_of_either_stream_whatever_its_pieces() {
        let mut lines = OutputLines::default();
        assert_eq!(lines.push(Output::Stdout, b"on"), [] as [&[u8]; 0]);
        assert_eq!(lines.push(Output::Stderr, b"two\n\n"), [&b"two"[..], b""]);
        assert_eq!(lines.push(Output::Stdout, b"e\r\nthr"), [b"one"]);
        assert_eq!(lines.finish(Output::Stdout), [b"thr"]);
        assert_eq!(lines.finish(Output::Stderr), [] as [&[u8]; 0]);
        assert_eq!(lines.hidden(), 0);
    }

    #[test]
    fn output_beyond_the_lines_or_bytes_that_are_shown_is_counted_and_not_held() {
        let mut lines = OutputLines::default();
        assert_eq!(lines.push(Output::Stderr, b"half"), [] as [&[u8]; 0]);
        let shown = lines.push(Output::Stdout, &b"y\n".repeat(OUTPUT_LINES + 3));
        assert_eq!(shown.len(), OUTPUT_LINES);
        assert_eq!(lines.push(Output::Stdout, b"z"), [] as [&[u8]; 0]);
        assert_eq!(lines.finish(Output::Stderr), [] as [&[u8]; 0]);
        assert_eq!(lines.hidden(), 6 + 1 + 4);

        let mut lines = OutputLines::default();
        let endless = "ä".repeat(OUTPUT);
        let shown = lines.push(Output::Stdout, endless.as_bytes());
        assert!(shown.iter().all(|line| std::str::from_utf8(line).is_ok()));
        let bytes: usize = shown.iter().map(Vec::len).sum();
        assert!((OUTPUT..OUTPUT + OUTPUT_LINE).contains(&bytes));
        lines.finish(Output::Stdout);
        assert_eq!(lines.hidden(), (endless.len() - bytes) as u64);
    }

    #[test]
    fn the_beginning_of_a_line_that_is_not_shown_is_counted_once_and_not_held() {
        let mut lines = OutputLines::default();
        lines.push(Output::Stderr, b"half");
        lines.push(Output::Stdout, &b"y\n".repeat(OUTPUT_LINES));
        assert_eq!(lines.held(Output::Stderr), 4);
        for _ in 0..2 {
            assert_eq!(lines.finish(Output::Stderr), [] as [&[u8]; 0]);
            assert_eq!((lines.held(Output::Stderr), lines.hidden()), (0, 4));
        }
    }

    #[test]
    fn what_is_held_is_the_end_of_an_output_also_once_nothing_more_is_shown() {
        let mut lines = OutputLines::default();
        lines.push(Output::Stderr, b"half");
        lines.push(Output::Stdout, &b"y\n".repeat(OUTPUT_LINES));
        assert_eq!(lines.push(Output::Stderr, b" a line\n"), [] as [&[u8]; 0]);
        assert_eq!((lines.held(Output::Stderr), lines.hidden()), (0, 12));
    }
}
