//! Variable-length integers (RFC 9000 §16), and the reader that all decoders share.

use super::Malformed;
use super::limits::MAX_VARINT;

/// An integer below 2^62. Encoded as two bits of length, then the value, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VarInt(pub u64);

impl VarInt {
    /// Returns the encoded size in bytes: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size(self) -> usize {
        match self.0 {
            0..0x40 => 1,
            0x40..0x4000 => 2,
            0x4000..0x4000_0000 => 4,
            _ => 8,
        }
    }

    /// Appends the integer. A value that is too large is a bug of the caller and is encoded as the
    /// largest varint.
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
    /// Returns a reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the unread bytes.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns true if no byte is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next `n` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the next byte.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|&[byte]| byte)
    }

    /// Reads the next eight bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Reads the next varint.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = vec![0xEE];
        VarInt(value).encode(&mut out);
        out.split_off(1)
    }

    #[test]
    fn the_varint_examples_of_rfc_9000_appendix_a_decode() {
        let examples: [(u64, &[u8]); 4] = [
            (
                151_288_809_941_952_652,
                &[0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C],
            ),
            (494_878_333, &[0x9D, 0x7F, 0x3E, 0x7D]),
            (15_293, &[0x7B, 0xBD]),
            (37, &[0x25]),
        ];
        for (value, bytes) in examples {
            assert_eq!(written(value), bytes);
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
        // A longer encoding than necessary is valid (RFC 9000 §16).
        assert_eq!(Reader::new(&[0x40, 0x25]).varint(), Ok(37));
    }

    #[test]
    fn every_varint_is_encoded_with_its_shortest_length() {
        for (first, size) in [(0, 1), (1 << 6, 2), (1 << 14, 4), (1 << 30, 8)] {
            assert_eq!(written(first).len(), size);
        }
        for (last, size) in [(63, 1), (16_383, 2), ((1 << 30) - 1, 4), (MAX_VARINT, 8)] {
            assert_eq!(written(last).len(), size);
        }
    }

    proptest! {
        #[test]
        fn an_encoded_varint_decodes_equal(bits in 0..=62u32, value: u64, rest: Vec<u8>) {
            let value = value & ((1 << bits) - 1);
            let mut bytes = written(value);
            prop_assert_eq!(bytes.len(), VarInt(value).size());
            bytes.extend_from_slice(&rest);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.rest(), &rest[..]);
        }

        #[test]
        fn a_truncated_varint_is_an_error_and_consumes_nothing(value in 0..=MAX_VARINT) {
            let bytes = written(value);
            for end in 0..bytes.len() {
                let mut reader = Reader::new(&bytes[..end]);
                prop_assert_eq!(reader.varint(), Err(Malformed::Truncated));
                prop_assert_eq!(reader.rest().len(), end);
            }
        }
    }
}
