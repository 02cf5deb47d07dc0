//! Frames: the payload of INIT, RESP and DATA after decryption.
//!
//! A frame is a type byte followed by fields. Integers are varints unless a width is given.
//! Decoding is an iterator that borrows from the payload and stops at the first error. An unknown
//! frame is an error and closes the session (as in RFC 9000 §12.4). The frames are those of RFC
//! 9000 §19 where they have the same name.

use super::ack::{ACK, ACK_ECN};
use super::limits::{CLOSE_REASON, MAX_VARINT};
use super::{Ack, Hello, Malformed, Reader, StreamId, VarInt};

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const STREAM: u8 = 0x04;
const STREAM_FIN: u8 = 0x05;
const MAX_DATA: u8 = 0x06;
const MAX_STREAM_DATA: u8 = 0x07;
const RESET: u8 = 0x08;
const STOP: u8 = 0x09;
const PATH_CHALLENGE: u8 = 0x0A;
const PATH_RESPONSE: u8 = 0x0B;
const REKEY: u8 = 0x0C;
const HELLO: u8 = 0x0D;
const CLOSE: u8 = 0x0E;

/// A frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Frame<'a> {
    /// 0x00: a run of padding, merged.
    Padding,
    /// 0x01: asks for an acknowledgement (RFC 9000 §19.2).
    Ping,
    /// 0x02, or 0x03 with ECN counts: an acknowledgement (RFC 9000 §19.3).
    Ack(Ack<'a>),
    /// 0x04, or 0x05 with FIN: stream, offset, length, bytes (RFC 9000 §19.8). The length is always
    /// present.
    Stream {
        /// The stream.
        stream: StreamId,
        /// Offset of the first byte.
        offset: u64,
        /// True if the stream ends after these bytes.
        fin: bool,
        /// The bytes. `offset + data.len()` never exceeds 2^62 - 1.
        data: &'a [u8],
    },
    /// 0x06: credit for the session, as the sum of the highest offsets of all streams (RFC 9000
    /// §19.9).
    MaxData(u64),
    /// 0x07: credit for a stream, and the offset up to which the receiver has consumed it (RFC 9000
    /// §19.10).
    MaxStreamData {
        /// The stream.
        stream: StreamId,
        /// Offset below which the receiver has written out every byte.
        consumed: u64,
        /// The first offset that may not be sent; never below `consumed`.
        max: u64,
    },
    /// 0x08: the sender abandons its half of a stream (RFC 9000 §19.4).
    Reset {
        /// The stream.
        stream: StreamId,
        /// Application error code.
        code: u64,
        /// Final size of the half, for the credit of the session (RFC 9000 §4.5).
        final_size: u64,
    },
    /// 0x09: the receiver wants no more data; answered by a RESET (RFC 9000 §19.5).
    Stop {
        /// The stream.
        stream: StreamId,
        /// Application error code.
        code: u64,
    },
    /// 0x0a: 8 bytes to be returned from the address at which they arrived (RFC 9000 §19.17).
    PathChallenge([u8; 8]),
    /// 0x0b: the 8 bytes of a PATH_CHALLENGE (RFC 9000 §19.18).
    PathResponse([u8; 8]),
    /// 0x0c: a fresh X25519 share for a key phase.
    Rekey {
        /// Key phase of the share, counted from 0.
        phase: u64,
        /// X25519 public key.
        share: [u8; 32],
    },
    /// 0x0d: the first frame of INIT and of RESP, and of no other datagram.
    Hello(Hello),
    /// 0x0e: the end of the session: code, then UTF-8 text of at most 255 bytes.
    Close {
        /// Error code, for programs.
        code: u64,
        /// Reason, for people. Untrusted text: escape it before showing it.
        reason: &'a str,
    },
}

/// Iterator over the frames of a decrypted payload. Yields nothing after an error.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// Decodes the frames of `payload`.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self {
            rest: Reader::new(payload),
        }
    }

    /// Returns the bytes that are not decoded yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest.rest()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Malformed>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let frame = Frame::decode(&mut self.rest);
        if frame.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(frame)
    }
}

impl std::iter::FusedIterator for Frames<'_> {}

impl<'a> Frame<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            PADDING => {
                let run = reader.rest().iter().take_while(|&&byte| byte == PADDING);
                reader.take(run.count())?;
                Self::Padding
            }
            PING => Self::Ping,
            kind @ (ACK | ACK_ECN) => Self::Ack(Ack::decode(reader, kind == ACK_ECN)?),
            kind @ (STREAM | STREAM_FIN) => decode_stream(reader, kind == STREAM_FIN)?,
            MAX_DATA => Self::MaxData(reader.varint()?),
            MAX_STREAM_DATA => {
                let stream = StreamId::from_wire(reader.varint()?)?;
                let (consumed, max) = (reader.varint()?, reader.varint()?);
                if consumed > max {
                    return Err(Malformed::Range);
                }
                Self::MaxStreamData {
                    stream,
                    consumed,
                    max,
                }
            }
            RESET => Self::Reset {
                stream: StreamId::from_wire(reader.varint()?)?,
                code: reader.varint()?,
                final_size: reader.varint()?,
            },
            STOP => Self::Stop {
                stream: StreamId::from_wire(reader.varint()?)?,
                code: reader.varint()?,
            },
            PATH_CHALLENGE => Self::PathChallenge(*reader.array()?),
            PATH_RESPONSE => Self::PathResponse(*reader.array()?),
            REKEY => Self::Rekey {
                phase: reader.varint()?,
                share: *reader.array()?,
            },
            HELLO => Self::Hello(Hello::decode(reader)?),
            CLOSE => decode_close(reader)?,
            _ => return Err(Malformed::Frame),
        })
    }
}

fn decode_stream<'a>(reader: &mut Reader<'a>, fin: bool) -> Result<Frame<'a>, Malformed> {
    let stream = StreamId::from_wire(reader.varint()?)?;
    let (offset, length) = (reader.varint()?, reader.varint()?);
    if offset.saturating_add(length) > MAX_VARINT {
        return Err(Malformed::Range);
    }
    let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
    Ok(Frame::Stream {
        stream,
        offset,
        fin,
        data: reader.take(length)?,
    })
}

fn decode_close<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let code = reader.varint()?;
    let length = reader.varint()?;
    if length > CLOSE_REASON as u64 {
        return Err(Malformed::Range);
    }
    let length = usize::try_from(length).map_err(|_| Malformed::Range)?;
    let reason = std::str::from_utf8(reader.take(length)?).map_err(|_| Malformed::Range)?;
    Ok(Frame::Close { code, reason })
}

/// Longest prefix of `reason` that a CLOSE can carry.
fn close_text(reason: &str) -> &str {
    let mut end = reason.len().min(CLOSE_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

fn fields(kind: u8, values: &[u64], out: &mut Vec<u8>) {
    out.push(kind);
    for &value in values {
        VarInt(value).encode(out);
    }
}

fn fields_size(values: &[u64]) -> usize {
    1 + values
        .iter()
        .map(|&value| VarInt(value).size())
        .sum::<usize>()
}

impl Frame<'_> {
    /// Returns the number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn size(&self) -> usize {
        match *self {
            Self::Padding | Self::Ping => 1,
            Self::Ack(ref ack) => ack.size(),
            Self::Stream {
                stream,
                offset,
                data,
                ..
            } => stream_overhead(stream, offset, data.len()) + data.len(),
            Self::MaxData(max) => fields_size(&[max]),
            Self::MaxStreamData {
                stream,
                consumed,
                max,
            } => fields_size(&[stream.to_wire(), consumed, max]),
            Self::Reset {
                stream,
                code,
                final_size,
            } => fields_size(&[stream.to_wire(), code, final_size]),
            Self::Stop { stream, code } => fields_size(&[stream.to_wire(), code]),
            Self::PathChallenge(token) | Self::PathResponse(token) => 1 + token.len(),
            Self::Rekey { phase, share } => fields_size(&[phase]) + share.len(),
            Self::Hello(hello) => 1 + hello.size(),
            Self::Close { code, reason } => {
                let text = close_text(reason);
                fields_size(&[code, text.len() as u64]) + text.len()
            }
        }
    }

    /// Appends the frame. The reason of a CLOSE is cut to the length that fits. An ACK is encoded
    /// as it was decoded; a new one is made by [`encode_ack`](super::encode_ack).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Padding => out.push(PADDING),
            Self::Ping => out.push(PING),
            Self::Ack(ref ack) => ack.encode(out),
            Self::Stream {
                stream,
                offset,
                fin,
                data,
            } => {
                encode_stream_header(stream, offset, data.len(), fin, out);
                out.extend_from_slice(data);
            }
            Self::MaxData(max) => fields(MAX_DATA, &[max], out),
            Self::MaxStreamData {
                stream,
                consumed,
                max,
            } => fields(MAX_STREAM_DATA, &[stream.to_wire(), consumed, max], out),
            Self::Reset {
                stream,
                code,
                final_size,
            } => fields(RESET, &[stream.to_wire(), code, final_size], out),
            Self::Stop { stream, code } => fields(STOP, &[stream.to_wire(), code], out),
            Self::PathChallenge(token) => {
                out.push(PATH_CHALLENGE);
                out.extend_from_slice(&token);
            }
            Self::PathResponse(token) => {
                out.push(PATH_RESPONSE);
                out.extend_from_slice(&token);
            }
            Self::Rekey { phase, share } => {
                fields(REKEY, &[phase], out);
                out.extend_from_slice(&share);
            }
            Self::Hello(hello) => {
                out.push(HELLO);
                hello.encode(out);
            }
            Self::Close { code, reason } => {
                let text = close_text(reason);
                fields(CLOSE, &[code, text.len() as u64], out);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// Returns true if the receiver must acknowledge the frame: all but PADDING, ACK and CLOSE (RFC
    /// 9002 §2).
    #[must_use]
    pub const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding | Self::Ack(_) | Self::Close { .. })
    }
}

/// Returns the bytes of a STREAM frame besides its data, for a data length up to `len`.
#[must_use]
pub const fn stream_overhead(stream: StreamId, offset: u64, len: usize) -> usize {
    1 + VarInt(stream.to_wire()).size() + VarInt(offset).size() + VarInt(len as u64).size()
}

/// Appends a STREAM frame up to its data. The caller appends `len` bytes after it.
pub fn encode_stream_header(
    stream: StreamId,
    offset: u64,
    len: usize,
    fin: bool,
    out: &mut Vec<u8>,
) {
    let kind = if fin { STREAM_FIN } else { STREAM };
    fields(kind, &[stream.to_wire(), offset, len as u64], out);
}

#[cfg(test)]
mod tests {
    use super::super::{CallId, Lane};
    use super::*;

    static BYTES: [u8; 2000] = [0x5A; 2000];

    fn written(frames: &[Frame<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in frames {
            let before = out.len();
            frame.encode(&mut out);
            assert_eq!(out.len() - before, frame.size(), "{frame:?}");
        }
        out
    }

    fn refused(bytes: &[u8]) -> Malformed {
        Frames::new(bytes).next().unwrap().unwrap_err()
    }

    #[test]
    fn a_run_of_padding_is_one_frame() {
        let frames: Vec<_> = Frames::new(&[0, 0, 0, PING, 0])
            .map(Result::unwrap)
            .collect();
        assert_eq!(frames, [Frame::Padding, Frame::Ping, Frame::Padding]);
    }

    #[test]
    fn an_unknown_frame_type_is_an_error_and_ends_the_payload() {
        let mut frames = Frames::new(&[PING, 0x0F, PING]);
        assert_eq!(frames.next(), Some(Ok(Frame::Ping)));
        assert_eq!(frames.next(), Some(Err(Malformed::Frame)));
        assert_eq!(frames.next(), None);
    }

    #[test]
    fn frame_fields_outside_their_range_are_malformed() {
        let max = [0xFF; 8];
        // One byte beyond the largest offset.
        let beyond = [&[STREAM, 0][..], &max, &[1, 0xAA]].concat();
        assert_eq!(refused(&beyond), Malformed::Range);
        // Lane 3.
        assert_eq!(refused(&[STOP, 3, 0]), Malformed::Range);
        // Consumed more than the credit.
        assert_eq!(refused(&[MAX_STREAM_DATA, 0, 2, 1]), Malformed::Range);
        // An undefined flag of HELLO.
        let hello = [&[HELLO][..], &[0; 24], &[8]].concat();
        assert_eq!(refused(&hello), Malformed::Range);
        // A reason of 256 bytes, and one that is not UTF-8.
        let long = [&[CLOSE, 0, 0x41, 0x00][..], &[b'a'; 256]].concat();
        assert_eq!(refused(&long), Malformed::Range);
        assert_eq!(refused(&[CLOSE, 0, 1, 0xFF]), Malformed::Range);
    }

    #[test]
    fn a_long_close_reason_is_cut_between_characters() {
        let reason = "ж".repeat(200);
        let frame = Frame::Close {
            code: 1,
            reason: &reason,
        };
        let bytes = written(&[frame]);
        let Some(Ok(Frame::Close { reason: read, .. })) = Frames::new(&bytes).next() else {
            panic!("not a CLOSE");
        };
        assert_eq!(read, "ж".repeat(CLOSE_REASON / 2));
    }

    #[test]
    fn the_overhead_of_a_stream_frame_is_exact() {
        let stream = StreamId::new(CallId(20), Lane::Data);
        for (offset, length) in [(0, 0), (63, 63), (64, 64), (1 << 30, 1900)] {
            let frame = Frame::Stream {
                stream,
                offset,
                fin: false,
                data: &BYTES[..length],
            };
            let overhead = stream_overhead(stream, offset, length);
            assert_eq!(written(&[frame]).len(), overhead + length);
        }
    }
}
