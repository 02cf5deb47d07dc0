//! Variable-length integers as in RFC 9000 §16, and the reader that every decoder shares.

use super::Malformed;
use super::limits::MAX_VARINT;

/// An integer below 2^62, and how it is written: two bits of length, then big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VarInt(pub u64);

impl VarInt {
    /// Bytes it takes: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size(self) -> usize {
        match self.0 {
            0..0x40 => 1,
            0x40..0x4000 => 2,
            0x4000..0x4000_0000 => 4,
            _ => 8,
        }
    }

    /// Appends it. What does not fit is a bug of the caller, and is written as the largest that does.
    pub fn encode(self, out: &mut Vec<u8>) {
        debug_assert!(self.0 <= MAX_VARINT, "{} is no varint", self.0);
        let value = self.0.min(MAX_VARINT);
        let bytes = value.to_be_bytes();
        let size = self.size();
        let start = out.len();
        out.extend_from_slice(&bytes[8 - size..]);
        // The length, as its base-two logarithm, is the top two bits of the first byte.
        out[start] |= match size {
            1 => 0x00,
            2 => 0x40,
            4 => 0x80,
            _ => 0xC0,
        };
    }
}

/// A cursor over received bytes; every read is checked.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|&[byte]| byte)
    }

    /// The next eight bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// The next variable-length integer.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let first = *self.rest.first().ok_or(Malformed::Truncated)?;
        let bytes = self.take(1 << (first >> 6))?;
        let top = u64::from(first & 0x3F);
        Ok(bytes[1..]
            .iter()
            .fold(top, |value, &byte| value << 8 | u64::from(byte)))
    }
}
