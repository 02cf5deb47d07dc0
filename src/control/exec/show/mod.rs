//! Form of the outputs: the bytes as they are, lines behind their host's name, JSON, or equal outputs together.
//!
//! Sans-IO: produces chunks for the two standard streams, each with the range of output that it stands for.
//! Invariant: every byte that goes in is counted by exactly one chunk, or at once.

#[cfg(feature = "cli")]
mod difference;
#[cfg(feature = "cli")]
mod gather;
mod lines;
mod records;

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;

#[cfg(feature = "cli")]
use self::gather::Gather;
#[cfg(feature = "cli")]
pub use self::gather::Gathering;
use self::lines::{Lines, Piece};
use super::Output;
use crate::control::stdio::Chunk;
use crate::escape;
use crate::message::{Fate, RequestId};

/// Form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Byte for byte.
    Plain,
    /// Line by line, each behind its host's name.
    Labelled(Labels),
    /// In the JSON object of the host, with at most this many bytes of each output.
    Json(usize),
    /// As records for programs, one JSON object a line.
    JsonLines,
    /// Equal outputs together at the end.
    #[cfg(feature = "cli")]
    Gathered(Gathering),
}

impl Style {
    /// Returns true if outputs are shown as JSON.
    #[must_use]
    pub const fn is_json(self) -> bool {
        match self {
            Self::Json(_) | Self::JsonLines => true,
            Self::Plain | Self::Labelled(_) => false,
            #[cfg(feature = "cli")]
            Self::Gathered(_) => false,
        }
    }

    /// Returns true if outputs are shown together at the end.
    #[must_use]
    pub const fn is_gathered(self) -> bool {
        match self {
            Self::Plain | Self::Labelled(_) | Self::Json(_) | Self::JsonLines => false,
            #[cfg(feature = "cli")]
            Self::Gathered(_) => true,
        }
    }
}

/// Form of the lines of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Labels {
    /// Treatment of control characters.
    pub escaping: Escaping,
    /// True if each line begins with the name of its host.
    pub is_named: bool,
    /// Width of the names, so that the texts behind them are aligned.
    pub width: usize,
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
    lines: Lines,
    captured: HashMap<u32, [Capture; 2]>,
    #[cfg(feature = "cli")]
    gather: Gather,
}

impl Show {
    /// Creates a show that holds nothing.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self {
            style,
            lines: Lines::default(),
            captured: HashMap::new(),
            #[cfg(feature = "cli")]
            gather: Gather::default(),
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
            #[cfg(feature = "cli")]
            Style::Gathered(gathering) if gathering.stderr || output == Output::Stdout => {
                self.gather(slot, label, place, &data)
            }
            #[cfg(feature = "cli")]
            Style::Gathered(_) => self.on_lines(slot, label, place, &data),
            Style::Labelled(_) | Style::JsonLines => self.on_lines(slot, label, place, &data),
        }
    }

    fn on_lines(&mut self, slot: u32, label: &str, place: Offset, data: &[u8]) -> Shown {
        match self.lines.push(slot, place, data) {
            Some(piece) => Shown::Chunk(self.chunk(label, &piece)),
            None => Shown::Held,
        }
    }

    /// Holds gathered output, or shows all of it as it comes if it is too long.
    #[cfg(feature = "cli")]
    fn gather(&mut self, slot: u32, label: &str, place: Offset, data: &[u8]) -> Shown {
        if !self.lines.is_open(slot, place.output) {
            if self.gather.push(slot, place.output, data) {
                return Shown::Kept(data.len() as u64);
            }
            for (output, held) in Output::ALL.into_iter().zip(self.gather.take(slot)) {
                let from = if output == place.output {
                    place.from.saturating_sub(held.len() as u64)
                } else {
                    0
                };
                if held.is_empty() {
                    continue;
                }
                self.lines
                    .push_counted(slot, Offset { output, from }, &held);
            }
        }
        self.on_lines(slot, label, place, data)
    }

    /// Returns what is held of lines without an end. No output of the host follows.
    pub fn flush(&mut self, slot: u32, label: &str) -> Vec<(Output, Chunk<Option<ByteCount>>)> {
        let pieces: Vec<Piece> = self.lines.flush(slot).collect();
        let chunk = |piece: Piece| (piece.count.output, self.chunk(label, &piece));
        pieces.into_iter().map(chunk).collect()
    }

    /// Returns what was captured of a host.
    pub fn take_captured(&mut self, slot: u32) -> [Capture; 2] {
        self.captured.remove(&slot).unwrap_or_default()
    }

    /// Returns the record of a command that was accepted, in a style with records.
    #[must_use]
    pub fn start(&self, label: &str, id: RequestId) -> Option<String> {
        (self.style == Style::JsonLines).then(|| records::start(label, id))
    }

    /// Returns the record of a host's end, in a style with records.
    #[must_use]
    pub fn exit(&self, label: &str, fate: Fate, object: impl FnOnce() -> Value) -> Option<String> {
        (self.style == Style::JsonLines).then(|| records::exit(label, fate, object()))
    }

    /// Groups the output of a host that has ended with an outcome in words, in a style that gathers.
    #[cfg(feature = "cli")]
    pub fn end(&mut self, slot: u32, label: &str, outcome: String) {
        if let Style::Gathered(_) = self.style {
            self.gather.end(slot, label, outcome);
        }
    }

    /// Returns what was gathered, as text for stdout, and forgets it.
    #[cfg(feature = "cli")]
    pub fn take_gathered(&mut self) -> Vec<String> {
        match self.style {
            Style::Gathered(gathering) => self.gather.text(gathering),
            Style::Plain | Style::Labelled(_) | Style::Json(_) | Style::JsonLines => Vec::new(),
        }
    }

    fn chunk(&self, label: &str, piece: &Piece) -> Chunk<Option<ByteCount>> {
        let labels = match self.style {
            Style::Labelled(labels) => labels,
            #[cfg(feature = "cli")]
            Style::Gathered(gathering) => Labels {
                escaping: gathering.escaping,
                is_named: true,
                width: 0,
            },
            Style::JsonLines => {
                let record = records::out(label, piece.count.output, &piece.bytes);
                return Chunk {
                    tag: Some(piece.count),
                    data: record.into(),
                };
            }
            Style::Plain | Style::Json(_) => unreachable!("these styles hold no lines"),
        };
        Chunk {
            tag: Some(piece.count),
            data: labelled(label, &piece.bytes, labels).into(),
        }
    }
}

/// Result of [`Show::on_output`].
#[derive(Debug)]
pub enum Shown {
    /// A chunk to write.
    Chunk(Chunk<Option<ByteCount>>),
    /// The bytes are held until their line ends.
    Held,
    /// The bytes are held until the host ends, or are beyond the limit of that. This many count as written.
    Kept(u64),
}

fn labelled(label: &str, lines: &[u8], labels: Labels) -> Vec<u8> {
    let mut shown = Vec::with_capacity(lines.len() + 64);
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if labels.is_named {
            shown.extend_from_slice(label.as_bytes());
            shown.extend_from_slice(b": ");
            let missing = labels.width.saturating_sub(label.chars().count());
            shown.extend(std::iter::repeat_n(b' ', missing));
        }
        match labels.escaping {
            Escaping::Raw => shown.extend_from_slice(line),
            Escaping::Escape => {
                shown.extend_from_slice(escape::line(line, usize::MAX).as_bytes());
            }
        }
        shown.push(b'\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn labels(escaping: Escaping) -> Labels {
        Labels {
            escaping,
            is_named: true,
            width: 0,
        }
    }

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
        let mut show = Show::new(Style::Labelled(labels(Escaping::Escape)));
        let (text, accounted) = feed(&mut show, &["on", "e\ntwo\nth", "ree\x1b[31m"]);
        assert_eq!(text, "web3: one\nweb3: two\nweb3: three\\u{1b}[31m\n");
        assert_eq!(accounted, 18);
    }

    #[test]
    fn empty_lines_and_raw_control_characters_are_kept() {
        let mut show = Show::new(Style::Labelled(labels(Escaping::Raw)));
        let (text, _) = feed(&mut show, &["\n\na\x1bb\n"]);
        assert_eq!(text, "web3: \nweb3: \nweb3: a\x1bb\n");
    }

    #[test]
    fn names_are_left_out_or_aligned() {
        let mut aligned = labels(Escaping::Escape);
        aligned.width = 6;
        let mut show = Show::new(Style::Labelled(aligned));
        assert_eq!(feed(&mut show, &["a\nb"]).0, "web3:   a\nweb3:   b\n");
        let unnamed = Labels {
            is_named: false,
            ..aligned
        };
        let mut show = Show::new(Style::Labelled(unnamed));
        assert_eq!(feed(&mut show, &["a\nb"]).0, "a\nb\n");
    }

    #[test]
    fn records_hold_whole_lines_where_there_are_any() {
        let mut show = Show::new(Style::JsonLines);
        let (text, accounted) = feed(&mut show, &["a", "b\nc"]);
        let record = |text: &str| {
            let begin = r#"{"v":1,"type":"out","host":"web3","stream":"stdout","text":""#;
            format!("{begin}{text}\"}}\n")
        };
        assert_eq!(text, record("ab\\n") + &record("c"));
        assert_eq!(accounted, 4);
    }

    #[test]
    #[cfg(feature = "cli")]
    fn output_that_is_too_long_to_be_gathered_is_shown_as_it_comes() {
        use crate::control::limits;
        let gathering = Gathering {
            stderr: true,
            diff: false,
            escaping: Escaping::Escape,
        };
        let mut show = Show::new(Style::Gathered(gathering));
        let half = "x".repeat(limits::GATHERED_HOST - 1)
            + "
";
        let mut place = at(Output::Stdout);
        let shown = show.on_output(1, "web3", place, Bytes::from(half.clone()));
        assert!(matches!(shown, Shown::Kept(_)));
        place.from += half.len() as u64;
        let shown = show.on_output(1, "web3", place, Bytes::from("last"));
        let Shown::Chunk(chunk) = shown else {
            panic!("{shown:?}");
        };
        assert_eq!(chunk.data.len(), "web3: ".len() + half.len());
        assert_eq!(chunk.tag.unwrap().bytes, 0, "they were counted before");
        let last = show.flush(1, "web3").remove(0).1;
        assert_eq!(
            last.data,
            "web3: last
"
        );
        assert_eq!(last.tag.unwrap().bytes, 4);
        show.end(1, "web3", "ok".into());
        assert!(show.take_gathered().is_empty());
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
