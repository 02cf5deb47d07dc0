//! Sealed datagrams: the suite's AEAD with the counter as nonce and the header as associated data.
//!
//! Not here: which counters were seen (see `replay`). Invariant kept by the caller: a counter is
//! used once per sealing key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{Forged, suite};

/// Seals what one side sends.
pub struct SealingKey {
    key: LessSafeKey,
}

/// Opens what it receives.
pub struct OpeningKey {
    key: LessSafeKey,
}

impl SealingKey {
    /// From key bytes.
    #[must_use]
    pub fn new(key: &[u8; suite::KEY]) -> Self {
        Self { key: expand(key) }
    }

    /// Encrypts `buf[start..]` in place and appends the tag.
    pub fn seal(&self, counter: u64, header: &[u8], buf: &mut Vec<u8>, start: usize) {
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(counter), Aad::from(header), &mut buf[start..])
            .expect("a datagram is shorter than 64 GiB");
        buf.extend_from_slice(tag.as_ref());
    }
}

impl OpeningKey {
    /// From key bytes.
    #[must_use]
    pub fn new(key: &[u8; suite::KEY]) -> Self {
        Self { key: expand(key) }
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
        self.key
            .open_in_place(nonce(counter), Aad::from(header), sealed)
            .map_err(|_| Forged)
    }
}

fn expand(key: &[u8; suite::KEY]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the suite's key size"))
}

/// Four zero bytes, then the counter, big-endian: as Noise numbers its messages (§12.4).
fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
