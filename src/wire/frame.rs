//! Frames: what INIT, RESP and DATA carry once opened.
//!
//! A one-byte type, then its fields; integers are variable-length unless a width is given. Decoding
//! is an iterator that borrows from the payload and stops at the first error; an unknown frame is
//! an error, and closes the session.

use std::time::Duration;

use super::limits::INVITE;
use super::{Malformed, SessionId, StreamId};

/// One frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Frame<'a> {
    /// A run of padding (type 0x00), merged.
    Padding,
    /// 0x01: asks for an acknowledgement.
    Ping,
    /// 0x02
    Ack(Ack<'a>),
    /// 0x04, with FIN 0x05: stream, offset, length, bytes. The length is always there.
    Stream {
        /// Which stream.
        stream: StreamId,
        /// Offset of the first byte.
        offset: u64,
        /// The stream ends after these bytes.
        fin: bool,
        /// The bytes. `offset + data.len()` never exceeds 2^62 - 1.
        data: &'a [u8],
    },
    /// 0x06: credit for the session, as the sum of the highest offsets of all streams.
    MaxData(u64),
    /// 0x07: credit for a stream, and how far its receiver has disposed of it for good.
    MaxStreamData {
        /// Which stream.
        stream: StreamId,
        /// Every byte below this offset has been written out by the receiver.
        consumed: u64,
        /// The first offset that may not be sent; never below `consumed`.
        max: u64,
    },
    /// 0x08: the sender gives up its half of a stream.
    Reset {
        /// Which stream.
        stream: StreamId,
        /// Why, as the application defines it.
        code: u64,
        /// Where the half ends, for the session's credit.
        final_size: u64,
    },
    /// 0x09: the receiver wants no more; answered by a RESET.
    Stop {
        /// Which stream.
        stream: StreamId,
        /// Why, as the application defines it.
        code: u64,
    },
    /// 0x0a: 8 bytes to be sent back from the address they came to.
    PathChallenge([u8; 8]),
    /// 0x0b
    PathResponse([u8; 8]),
    /// 0x0c: a fresh X25519 share for key phase `phase`.
    Rekey {
        /// The phase that the share is for, counted from 0.
        phase: u64,
        /// X25519 public key.
        share: [u8; 32],
    },
    /// 0x0d: first frame of INIT and of RESP, nowhere else.
    Hello(Hello),
    /// 0x0e: the session is over: code, then UTF-8 text of at most 255 bytes.
    Close {
        /// Why, for programs.
        code: u64,
        /// Why, for people. Untrusted text: escape it before showing.
        reason: &'a str,
    },
}

/// What became of the frames that came inside INIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Early {
    /// Taken, or there were none.
    Accepted = 0,
    /// Not taken: to be sent again in the session.
    Refused = 1,
}

/// What the two ends tell each other first.
///
/// Layout: epoch 8, agent time (µs) 8, session id 8, flags 1 (bit 0: early refused; bit 1: an invite
/// follows), invite 16 if flagged. Fixed widths, so that a first flight has one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The agent's epoch: in INIT the one the controller remembers, 0 for none.
    pub epoch: u64,
    /// The agent's time: in INIT as the controller reckons it. Since the agent's start.
    pub agent_time: Duration,
    /// The sender's id, again, under the seal. An INIT or RESP whose clear id differs is forged.
    pub session: SessionId,
    /// In RESP: what became of the early frames. In INIT: always `Accepted`.
    pub early: Early,
    /// In INIT: proof of an invitation, for a key that the agent does not know.
    pub invite: Option<[u8; INVITE]>,
}

/// An acknowledgement: largest counter, delay, then ranges downwards.
///
/// Layout: largest, delay (µs), count of further ranges, length of the first range minus one, then
/// per further range gap and length, each minus one (as RFC 9000 §19.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    /// The largest counter received.
    pub largest: u64,
    /// How long the largest waited at the receiver.
    pub delay: Duration,
    ranges: &'a [u8],
    count: usize,
}

impl<'a> Ack<'a> {
    /// The ranges, from the highest down; already validated when the frame was decoded.
    #[must_use]
    pub fn ranges(&self) -> AckRanges<'a> {
        todo!()
    }
}

/// Inclusive ranges of acknowledged counters, highest first.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    rest: &'a [u8],
    count: usize,
}

impl Iterator for AckRanges<'_> {
    type Item = std::ops::RangeInclusive<u64>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Appends an ACK frame for inclusive ranges given highest first, at most
/// [`limits::ACK_RANGES`](super::limits::ACK_RANGES) of them, stopping where `space` bytes would be exceeded.
/// Does nothing and returns false when not even the first fits.
pub fn encode_ack(
    ranges: impl Iterator<Item = std::ops::RangeInclusive<u64>>,
    delay: Duration,
    space: usize,
    out: &mut Vec<u8>,
) -> bool {
    todo!()
}

/// Decodes the frames of an opened payload.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Over an opened payload.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Malformed>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl Frame<'_> {
    /// Bytes that [`encode`](Self::encode) will append.
    #[must_use]
    pub fn size(&self) -> usize {
        todo!()
    }

    /// Appends the frame. ACK frames are written by [`encode_ack`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        todo!()
    }

    /// Whether the receiver must acknowledge: all but PADDING, ACK and CLOSE.
    #[must_use]
    pub const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding | Self::Ack(_) | Self::Close { .. })
    }
}

/// Bytes that a STREAM frame takes besides its data, for a data length up to `len`.
#[must_use]
pub const fn stream_overhead(stream: StreamId, offset: u64, len: usize) -> usize {
    todo!()
}
