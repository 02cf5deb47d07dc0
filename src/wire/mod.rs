//! Bytes <-> values: datagram headers, frames, variable-length integers.
//!
//! Views that only parse and emit. No state, no keys, and no allocation on decode: what a parsed
//! value borrows, it borrows from the datagram. Invariant: no input panics, and what `encode`
//! writes `decode` reads back equal.

mod ack;
mod frame;
mod header;
mod hello;
pub mod limits;
#[cfg(test)]
mod tests;
mod varint;

pub use ack::{Ack, AckRanges, encode_ack};
pub use frame::{Frame, Frames, encode_stream_header, stream_overhead};
pub use header::{
    Data, Datagram, DatagramType, Init, Resp, Retry, encode_init, encode_resp, encode_retry,
};
pub use hello::{Early, Hello};
pub use varint::{Reader, VarInt};

/// The first three bytes of every datagram of the protocol. `F8` begins no UTF-8 text.
pub const TAG: [u8; 3] = [0xF8, 0x55, 0x41];

/// Protocol version carried by INIT, RESP and RETRY in the low nibble of the fourth byte.
pub const VERSION: u8 = 1;

/// Why bytes that carry the tag are not a datagram, or opened bytes not frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Ends before a field does.
    Truncated,
    /// A version this program does not speak.
    Version,
    /// A datagram type that does not exist.
    Type,
    /// A length that the type does not allow.
    Length,
    /// A frame type that does not exist.
    Frame,
    /// A field outside its range.
    Range,
}

/// The random 64-bit name that an endpoint gives its end of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionId(pub u64);

/// A lane of a call: an ordered byte stream in each direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamId(u64);

/// What a lane carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Lane {
    /// JSON lines, both ways.
    Control = 0,
    /// stdin towards the agent, stdout towards the controller.
    Main = 1,
    /// stderr, towards the controller.
    Error = 2,
}

/// Calls are numbered upwards from 0 by the controller; never reused within a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId(pub u32);

impl StreamId {
    /// The stream of `lane` in `call`: `call << 2 | lane`.
    #[must_use]
    pub const fn new(call: CallId, lane: Lane) -> Self {
        Self((call.0 as u64) << 2 | lane as u64)
    }

    /// From its number on the wire.
    ///
    /// # Errors
    /// [`Malformed::Range`] for lane 3 and for calls above 2^32 - 1.
    pub const fn from_wire(number: u64) -> Result<Self, Malformed> {
        if number & 3 == 3 || number >> 34 != 0 {
            return Err(Malformed::Range);
        }
        Ok(Self(number))
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        self.0
    }

    /// The call it belongs to.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "from_wire and new keep it below 2^34"
    )]
    pub const fn call(self) -> CallId {
        CallId((self.0 >> 2) as u32)
    }

    /// Which lane of its call it is.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self.0 & 3 {
            0 => Lane::Control,
            1 => Lane::Main,
            _ => Lane::Error,
        }
    }
}
