//! Reassembly of frames from the chunks of a stream.
//!
//! Data is passed on in the pieces in which it comes, without a copy. Invariants: the cuts between chunks make no
//! difference to the frames, nor to the bytes of the data; of other frames, at most one is held, and at most
//! [`limits::FRAME`] bytes of it.

use std::borrow::Cow;

use super::frame::{DATA, HEADER, Violation};
use super::limits;

/// Part of a stream.
#[derive(PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// Bytes of data, not empty.
    Data(&'a [u8]),
    /// Type and payload of another frame.
    Frame(u8, Cow<'a, [u8]>),
}

/// Reassembles frames.
#[derive(Default, Debug)]
pub struct Parser {
    /// Beginning of a frame that is not complete.
    held: Vec<u8>,
    /// Bytes left of a frame of data.
    data: usize,
}

impl Parser {
    /// Takes the next part from the beginning of `input`; `None` once `input` is empty.
    ///
    /// # Errors
    /// [`Violation`] if a frame is too long.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>, Violation> {
        loop {
            if self.data > 0 {
                let length = self.data.min(input.len());
                self.data -= length;
                let taken = split(input, length);
                return Ok((!taken.is_empty()).then_some(Part::Data(taken)));
            }
            if self.held.is_empty() && input.len() >= HEADER {
                let (kind, length) = header(input)?;
                if kind == DATA {
                    split(input, HEADER);
                    self.data = length;
                    continue;
                }
                if input.len() - HEADER >= length {
                    split(input, HEADER);
                    return Ok(Some(Part::Frame(kind, split(input, length).into())));
                }
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.hold(input, HEADER);
            if self.held.len() < HEADER {
                continue;
            }
            let (kind, length) = header(&self.held)?;
            if kind == DATA {
                self.held.clear();
                self.data = length;
                continue;
            }
            self.hold(input, HEADER + length);
            if self.held.len() == HEADER + length {
                let payload = self.held.split_off(HEADER);
                self.held.clear();
                return Ok(Some(Part::Frame(kind, payload.into())));
            }
        }
    }

    /// Holds bytes of the input until there are `wanted`.
    fn hold(&mut self, input: &mut &[u8], wanted: usize) {
        let length = wanted.saturating_sub(self.held.len()).min(input.len());
        self.held.extend_from_slice(split(input, length));
    }
}

fn split<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(length);
    *input = rest;
    taken
}

fn header(bytes: &[u8]) -> Result<(u8, usize), Violation> {
    let (kind, length) = (bytes[0], &bytes[1..HEADER]);
    let length = length
        .iter()
        .fold(0, |length, &byte| length << 8 | usize::from(byte));
    if kind != DATA && length > limits::FRAME {
        return Err(Violation("a frame that is too long"));
    }
    Ok((kind, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::header;
    use super::*;

    /// Frames as they are read from a stream in chunks of these sizes, with the data between others in one piece.
    fn read(stream: &[u8], mut cuts: impl Iterator<Item = usize>) -> Vec<(u8, Vec<u8>)> {
        let (mut parser, mut frames) = (Parser::default(), Vec::<(u8, Vec<u8>)>::new());
        let mut rest = stream;
        while !rest.is_empty() {
            let cut = cuts.next().unwrap_or(1).clamp(1, rest.len());
            let mut chunk = split(&mut rest, cut);
            while let Some(part) = parser.next(&mut chunk).unwrap() {
                match (part, frames.last_mut()) {
                    (Part::Data(bytes), Some((DATA, data))) => data.extend_from_slice(bytes),
                    (Part::Data(bytes), _) => frames.push((DATA, bytes.to_vec())),
                    (Part::Frame(kind, payload), _) => frames.push((kind, payload.into_owned())),
                }
            }
        }
        frames
    }

    proptest! {
        #[test]
        fn the_cuts_of_a_stream_make_no_difference_to_its_frames(
            frames in proptest::collection::vec((1_u8..=255, proptest::collection::vec(any::<u8>(), 0..40)), 0..20),
            cuts in proptest::collection::vec(1_usize..50, 1..50),
        ) {
            let mut stream = Vec::new();
            for (kind, payload) in &frames {
                stream.extend(header(*kind, payload.len()));
                stream.extend(payload);
            }
            let whole = read(&stream, std::iter::repeat(usize::MAX));
            prop_assert_eq!(read(&stream, cuts.into_iter().cycle()), whole);
        }
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_before_it_is_held() {
        let mut parser = Parser::default();
        let long = header(9, limits::FRAME + 1);
        assert!(parser.next(&mut &long[..]).is_err());
        let mut parser = Parser::default();
        assert_eq!(parser.next(&mut &long[..3]), Ok(None));
        assert!(parser.next(&mut &long[3..]).is_err());
        let data = header(DATA, (1 << 24) - 1);
        assert_eq!(Parser::default().next(&mut &data[..]), Ok(None));
    }
}
