//! Sealed datagrams: the suite's AEAD with the counter as nonce and the header as associated data.
//!
//! Not here: which counters were seen (see `replay`). Invariant kept by the caller: a counter is
//! used once per sealing key.

use super::{Forged, suite};

/// Seals what one side sends.
pub struct SealingKey {
    _todo: (),
}

/// Opens what it receives.
pub struct OpeningKey {
    _todo: (),
}

impl SealingKey {
    /// From key bytes.
    #[must_use]
    pub fn new(key: &[u8; suite::KEY]) -> Self {
        todo!()
    }

    /// Encrypts `buf[start..]` in place and appends the tag.
    pub fn seal(&self, counter: u64, header: &[u8], buf: &mut Vec<u8>, start: usize) {
        todo!()
    }
}

impl OpeningKey {
    /// From key bytes.
    #[must_use]
    pub fn new(key: &[u8; suite::KEY]) -> Self {
        todo!()
    }

    /// Decrypts in place; the opened bytes are the returned prefix of `sealed`.
    ///
    /// # Errors
    /// [`Forged`]; `sealed` then holds nothing meaningful.
    pub fn open<'a>(
        &self,
        counter: u64,
        header: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Forged> {
        todo!()
    }
}
