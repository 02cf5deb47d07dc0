//! Form of the outputs: the bytes as they are, lines behind their host's name, or one JSON object at the end.
//!
//! Sans-IO: produces chunks for the two standard streams, each with the range of output that it stands for.
//! Invariant: every byte that goes in is counted by exactly one chunk, or at once.

use std::collections::HashMap;

use bytes::Bytes;

use super::Output;
use crate::control::limits;
use crate::control::stdio::Chunk;
use crate::escape;

/// Form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Byte for byte.
    Plain,
    /// Line by line, each behind its host's name.
    Labelled(Escaping),
    /// In the JSON object of the host, with at most this many bytes of each output.
    Json(usize),
}

/// Treatment of control characters in the lines of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Escaping {
    /// Control characters are escaped.
    Escape,
    /// Control characters reach the terminal as they are.
    Raw,
}

/// Range of bytes of a host's output that a chunk stands for; a chunk with text of `udpctl` itself has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ByteCount {
    /// Slot of the host in the run.
    pub slot: u32,
    /// Output that the bytes belong to.
    pub output: Output,
    /// Offset of the first byte.
    pub from: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// Position in an output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset {
    /// The output.
    pub output: Output,
    /// Offset of the next byte.
    pub from: u64,
}

/// Output that is kept for a JSON object.
#[derive(Clone, Default, Debug)]
pub struct Capture {
    /// Its beginning, up to the limit of [`Style::Json`].
    pub kept: Vec<u8>,
    /// Its whole length in bytes.
    pub length: u64,
}

/// Turns output into chunks, and holds what cannot be shown yet.
pub struct Show {
    style: Style,
    /// Beginnings of lines that have not ended, with their offsets in the output.
    partial: HashMap<(u32, Output), (u64, Vec<u8>)>,
    captured: HashMap<u32, [Capture; 2]>,
}

impl Show {
    /// Creates a show that holds nothing.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self {
            style,
            partial: HashMap::new(),
            captured: HashMap::new(),
        }
    }

    /// Takes the next bytes of an output.
    pub fn on_output(&mut self, slot: u32, label: &str, place: Offset, data: Bytes) -> Shown {
        let length = data.len() as u64;
        let Offset { output, from } = place;
        match self.style {
            Style::Plain => Shown::Chunk(Chunk {
                tag: Some(ByteCount {
                    slot,
                    output,
                    from,
                    bytes: length,
                }),
                data,
            }),
            Style::Json(limit) => {
                let capture = &mut self.captured.entry(slot).or_default()[output as usize];
                let kept = limit.saturating_sub(capture.kept.len()).min(data.len());
                capture.kept.extend_from_slice(&data[..kept]);
                capture.length += length;
                Shown::Kept(length)
            }
            Style::Labelled(escaping) => {
                let (from, partial) = self
                    .partial
                    .entry((slot, output))
                    .or_insert_with(|| (from, Vec::new()));
                partial.extend_from_slice(&data);
                let whole = match partial.iter().rposition(|&byte| byte == b'\n') {
                    Some(end) => end + 1,
                    None if partial.len() >= limits::PARTIAL_LINE => partial.len(),
                    None => return Shown::Held,
                };
                let lines: Vec<u8> = partial.drain(..whole).collect();
                let count = ByteCount {
                    slot,
                    output,
                    from: *from,
                    bytes: lines.len() as u64,
                };
                *from += count.bytes;
                Shown::Chunk(labelled(label, count, &lines, escaping))
            }
        }
    }

    /// Returns what is held of lines without an end. No output of the host follows.
    pub fn flush(&mut self, slot: u32, label: &str) -> Vec<(Output, Chunk<Option<ByteCount>>)> {
        let Style::Labelled(escaping) = self.style else {
            return Vec::new();
        };
        Output::ALL
            .into_iter()
            .filter_map(|output| {
                let (from, partial) = self.partial.remove(&(slot, output))?;
                let count = ByteCount {
                    slot,
                    output,
                    from,
                    bytes: partial.len() as u64,
                };
                (!partial.is_empty()).then(|| (output, labelled(label, count, &partial, escaping)))
            })
            .collect()
    }

    /// Returns what was captured of a host.
    pub fn take_captured(&mut self, slot: u32) -> [Capture; 2] {
        self.captured.remove(&slot).unwrap_or_default()
    }
}

/// Result of [`Show::on_output`].
#[derive(Debug)]
pub enum Shown {
    /// A chunk to write.
    Chunk(Chunk<Option<ByteCount>>),
    /// The bytes are held until their line ends.
    Held,
    /// The bytes are captured, or beyond the limit of the capture. This many count as written.
    Kept(u64),
}

fn labelled(
    label: &str,
    count: ByteCount,
    lines: &[u8],
    escaping: Escaping,
) -> Chunk<Option<ByteCount>> {
    let mut shown = Vec::with_capacity(lines.len() + 64);
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        shown.extend_from_slice(label.as_bytes());
        shown.extend_from_slice(b": ");
        match escaping {
            Escaping::Raw => shown.extend_from_slice(line),
            Escaping::Escape => {
                shown.extend_from_slice(escape::line(line, usize::MAX).as_bytes());
            }
        }
        shown.push(b'\n');
    }
    Chunk {
        tag: Some(count),
        data: shown.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(output: Output) -> Offset {
        Offset { output, from: 0 }
    }

    fn feed(show: &mut Show, chunks: &[&str]) -> (String, u64) {
        let mut text = String::new();
        let mut accounted = 0;
        let mut take = |chunk: Chunk<Option<ByteCount>>| {
            text.push_str(std::str::from_utf8(&chunk.data).unwrap());
            let count = chunk.tag.unwrap();
            assert_eq!(count.from, accounted);
            accounted += count.bytes;
        };
        let mut place = at(Output::Stdout);
        for text in chunks {
            let data = Bytes::copy_from_slice(text.as_bytes());
            let shown = show.on_output(1, "web3", place, data);
            place.from += text.len() as u64;
            if let Shown::Chunk(chunk) = shown {
                take(chunk);
            }
        }
        for (_, chunk) in show.flush(1, "web3") {
            take(chunk);
        }
        (text, accounted)
    }

    #[test]
    fn whole_lines_are_labelled_and_every_byte_is_counted() {
        let mut show = Show::new(Style::Labelled(Escaping::Escape));
        let (text, accounted) = feed(&mut show, &["on", "e\ntwo\nth", "ree\x1b[31m"]);
        assert_eq!(text, "web3: one\nweb3: two\nweb3: three\\u{1b}[31m\n");
        assert_eq!(accounted, 18);
    }

    #[test]
    fn empty_lines_and_raw_control_characters_are_kept() {
        let mut show = Show::new(Style::Labelled(Escaping::Raw));
        let (text, _) = feed(&mut show, &["\n\na\x1bb\n"]);
        assert_eq!(text, "web3: \nweb3: \nweb3: a\x1bb\n");
    }

    #[test]
    fn a_line_without_end_is_shown_in_pieces() {
        let mut show = Show::new(Style::Labelled(Escaping::Escape));
        let text = "x".repeat(limits::PARTIAL_LINE);
        let shown = show.on_output(1, "web3", at(Output::Stdout), Bytes::from(text.clone()));
        let Shown::Chunk(chunk) = shown else {
            panic!("{shown:?}");
        };
        assert_eq!(chunk.data, format!("web3: {text}\n"));
    }

    #[test]
    fn a_capture_keeps_the_beginning_and_counts_the_rest() {
        let mut show = Show::new(Style::Json(4));
        for text in ["abc", "def"] {
            let shown = show.on_output(1, "h", at(Output::Stderr), Bytes::from(text));
            assert!(matches!(shown, Shown::Kept(3)));
        }
        let [_, stderr] = show.take_captured(1);
        assert_eq!((stderr.kept.as_slice(), stderr.length), (&b"abcd"[..], 6));
    }
}
