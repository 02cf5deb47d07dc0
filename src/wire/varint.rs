//! Variable-length integers as in RFC 9000 §16, and the reader that every decoder shares.

use super::Malformed;

/// An integer below 2^62, and how it is written: two bits of length, then big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VarInt(pub u64);

impl VarInt {
    /// Bytes it takes: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size(self) -> usize {
        todo!()
    }

    /// Appends it.
    pub fn encode(self, out: &mut Vec<u8>) {
        todo!()
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
        todo!()
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        todo!()
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        todo!()
    }

    /// The next eight bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        todo!()
    }

    /// The next variable-length integer.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        todo!()
    }
}
