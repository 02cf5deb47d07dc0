//! The wire format: datagram headers, frames, varints.
//!
//! Sans-IO: parsing and encoding only, with no state, no keys, and no allocation on decode. A decoded value
//! borrows from the datagram. Not here: encryption and the meaning of frames. Invariants: no input
//! panics, and an encoded value decodes equal.
//!
//! # Example
//!
//! The header of a datagram, and a frame of its payload.
//!
//! ```
//! use udpagent_transport::wire::{CallId, Data, Datagram, Frame, Frames, Lane, SessionId, StreamId};
//!
//! let header = Data { phase: 0, receiver: SessionId(7), counter: 1 };
//! let mut datagram = header.encode().to_vec();
//! datagram.extend_from_slice(&[0; 16]); // The sealed payload, here an empty one.
//! assert_eq!(Datagram::parse(&datagram), Ok(Some(Datagram::Data(header))));
//! assert_eq!(Datagram::parse(b"plain text"), Ok(None));
//!
//! let stream = StreamId::new(CallId(0), Lane::Data);
//! let frame = Frame::Stream { stream, offset: 0, fin: true, data: b"hello" };
//! let mut payload = Vec::new();
//! frame.encode(&mut payload);
//! assert_eq!(payload, [0x05, 1, 0, 5, b'h', b'e', b'l', b'l', b'o']);
//! assert_eq!(Frames::new(&payload).next(), Some(Ok(frame)));
//! ```

mod ack;
mod close_code;
mod frame;
mod frame_type;
mod header;
mod hello;
pub mod limits;
#[cfg(test)]
mod tests;
mod varint;

pub use ack::{Ack, AckRanges, EcnCounts, encode_ack};
pub use close_code::CloseCode;
pub use frame::{Frame, Frames, encode_stream_header, stream_overhead};
pub use frame_type::FrameType;
pub use header::{
    Data, Datagram, DatagramType, Init, Resp, Retry, StatelessReset, encode_init, encode_resp,
    encode_retry, encode_stateless_reset,
};
pub use hello::{Early, Hello};
pub use varint::{Reader, VarInt};

/// First three bytes of every datagram of the protocol. No UTF-8 text begins with `F8` (RFC 3629
/// §3).
pub const TAG: [u8; 3] = [0xF8, 0x55, 0x41];

/// Protocol version, carried by every type but DATA in the low nibble of the fourth byte.
pub const VERSION: u8 = 1;

/// Reason why bytes with the tag are no datagram, or why decrypted bytes are no frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The bytes end before a field does.
    Truncated,
    /// A version that is not supported.
    Version,
    /// An undefined datagram type.
    Type,
    /// A length that the type does not allow.
    Length,
    /// An undefined frame type.
    Frame,
    /// A field outside its range.
    Range,
}

/// Random 64-bit id that an endpoint chooses for its end of a session.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct SessionId(pub u64);

/// Id of a stream: one lane of a call, an ordered byte stream in each direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamId(u64);

/// A lane of a call, by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Lane {
    /// JSON lines, in both directions.
    Control = 0,
    /// stdin towards the agent, stdout towards the controller.
    Data = 1,
    /// stderr towards the controller.
    Stderr = 2,
}

/// Number of a call. The controller counts upwards from 0; a number is never reused within a
/// session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId(pub u32);

impl StreamId {
    /// Returns the stream of `lane` in `call`: `call << 2 | lane`.
    #[must_use]
    pub const fn new(call: CallId, lane: Lane) -> Self {
        Self((call.0 as u64) << 2 | lane as u64)
    }

    /// Converts a stream number of the wire.
    ///
    /// # Errors
    /// [`Malformed::Range`] for lane 3 and for calls above 2^32 - 1.
    pub const fn from_wire(number: u64) -> Result<Self, Malformed> {
        if number & 3 == 3 || number >> 34 != 0 {
            return Err(Malformed::Range);
        }
        Ok(Self(number))
    }

    /// Returns the stream number for the wire.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        self.0
    }

    /// Returns the call of the stream.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "from_wire and new keep it below 2^34"
    )]
    pub const fn call(self) -> CallId {
        CallId((self.0 >> 2) as u32)
    }

    /// Returns the lane of the stream.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self.0 & 3 {
            0 => Lane::Control,
            1 => Lane::Data,
            _ => Lane::Stderr,
        }
    }
}
