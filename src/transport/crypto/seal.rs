//! Sealed datagrams: the suite's AEAD with the counter as nonce and the header as associated data.
//!
//! Not here: replay protection (see `replay`). Invariant, which the caller keeps: a counter is used once
//! per sealing key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{Forged, suite};

/// Key that seals datagrams to the peer.
pub struct SealingKey {
    key: LessSafeKey,
}

/// Key that opens datagrams from the peer.
pub struct OpeningKey {
    key: LessSafeKey,
}

impl SealingKey {
    /// Creates the key from its bytes.
    #[must_use]
    pub fn new(key: &[u8; suite::KEY]) -> Self {
        Self { key: expand(key) }
    }

    /// Encrypts `buf[start..]` in place and appends the tag.
    pub fn seal(&self, counter: u64, header: &[u8], buf: &mut Vec<u8>, start: usize) {
        self.seal_with_tail(counter, header, buf, start, &[]);
    }

    /// Encrypts `buf[start..]` in place, and appends `tail`, encrypted, and the tag of both. This saves a copy of `tail`.
    pub fn seal_with_tail(
        &self,
        counter: u64,
        header: &[u8],
        buf: &mut Vec<u8>,
        start: usize,
        tail: &[u8],
    ) {
        let at = buf.len();
        buf.resize(at + tail.len() + suite::TAG, 0);
        let (head, rest) = buf[start..].split_at_mut(at - start);
        self.key
            .seal_in_place_scatter(nonce(counter), Aad::from(header), head, tail, rest)
            .expect("a datagram is shorter than 64 GiB");
    }
}

impl OpeningKey {
    /// Creates the key from its bytes.
    #[must_use]
    pub fn new(key: &[u8; suite::KEY]) -> Self {
        Self { key: expand(key) }
    }

    /// Decrypts `sealed` in place; returns the prefix that holds the plaintext.
    ///
    /// # Errors
    /// [`Forged`] if the tag does not match; the content of `sealed` is then undefined.
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

/// Creates the key schedule of the suite's AEAD.
pub(super) fn expand(key: &[u8; suite::KEY]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the size of the suite"))
}

/// Returns the nonce of a counter: four zero bytes and the counter, big-endian (Noise §12.4).
pub(super) fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; suite::KEY] = [3; suite::KEY];

    fn sealed(counter: u64, header: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut datagram = [header, payload].concat();
        SealingKey::new(&KEY).seal(counter, header, &mut datagram, header.len());
        datagram
    }

    fn open(counter: u64, datagram: &[u8], header: usize) -> Result<Vec<u8>, Forged> {
        let mut datagram = datagram.to_vec();
        let (header, sealed) = datagram.split_at_mut(header);
        let key = OpeningKey::new(&KEY);
        key.open(counter, header, sealed)
            .map(|opened| opened.to_vec())
    }

    // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14: zero key, zero
    // nonce, no associated data.
    #[test]
    fn the_cipher_is_aes_256_gcm_with_the_counter_as_nonce() {
        let key = SealingKey::new(&[0; 32]);
        let mut nothing = Vec::new();
        key.seal(0, &[], &mut nothing, 0);
        assert_eq!(nothing[..4], [0x53, 0x0f, 0x8a, 0xfb]);
        let mut zeros = vec![0; 16];
        key.seal(0, &[], &mut zeros, 0);
        assert_eq!(zeros[..4], [0xce, 0xa7, 0x40, 0x3d]);
        assert_eq!(zeros[16..20], [0xd0, 0xd1, 0xc8, 0xa7]);
    }

    #[test]
    fn the_nonce_ends_in_the_counter_in_big_endian() {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
        let nonce = Nonce::assume_unique_for_key([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let mut expected = b"payload".to_vec();
        key.seal_in_place_append_tag(nonce, Aad::from(b"header"), &mut expected)
            .unwrap();
        let datagram = sealed(0x0102_0304_0506_0708, b"header", b"payload");
        assert_eq!(datagram[6..], expected);
    }

    #[test]
    fn a_datagram_shorter_than_a_tag_does_not_open() {
        for length in 0..suite::TAG {
            assert_eq!(open(1, &vec![0; 4 + length], 4), Err(Forged));
        }
    }

    proptest! {
        #[test]
        fn a_sealed_datagram_opens(counter: u64, header: [u8; 20], payload: Vec<u8>) {
            let datagram = sealed(counter, &header, &payload);
            prop_assert_eq!(datagram.len(), 20 + payload.len() + suite::TAG);
            prop_assert_eq!(open(counter, &datagram, 20), Ok(payload));
        }

        #[test]
        fn a_tail_is_sealed_as_if_it_were_written_before(
            header: [u8; 20],
            payload: Vec<u8>,
            cut: prop::sample::Index,
        ) {
            let (written, tail) = payload.split_at(cut.index(payload.len() + 1));
            let mut datagram = [&header, written].concat();
            SealingKey::new(&KEY).seal_with_tail(1, &header, &mut datagram, 20, tail);
            prop_assert_eq!(datagram, sealed(1, &header, &payload));
        }

        #[test]
        fn a_datagram_with_another_bit_or_counter_does_not_open(
            counter: u64,
            header: [u8; 20],
            payload: Vec<u8>,
            bit: prop::sample::Index,
            other: u64,
        ) {
            let mut datagram = sealed(counter, &header, &payload);
            prop_assert!(other == counter || open(other, &datagram, 20).is_err());
            let bit = bit.index(8 * datagram.len());
            datagram[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(counter, &datagram, 20), Err(Forged));
        }
    }
}
