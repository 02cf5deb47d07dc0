//! Decisions read from the bytes of a fuzzer.

use udpagent::wire::limits::MAX_VARINT;

/// The unused bytes. After the last, every decision is 0.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    pub fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.take(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// An integer that the protocol can carry, often close to one of its bounds.
    pub fn varint(&mut self) -> u64 {
        match self.below(5) {
            0 => u64::from(self.byte()),
            1 => u64::from(self.byte()) << 8 | u64::from(self.byte()),
            2 => MAX_VARINT - u64::from(self.byte()),
            3 => (1 << self.below(62)) + u64::from(self.byte()),
            _ => self.word() & MAX_VARINT,
        }
        .min(MAX_VARINT)
    }
}
