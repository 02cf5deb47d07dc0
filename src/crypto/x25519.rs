//! X25519 (RFC 7748).
//!
//! Invariant: an all-zero result, to which the peer did not contribute (§6.1), is none.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// A secret key and its public one.
pub(super) struct X25519 {
    secret: StaticSecret,
    public: [u8; 32],
}

impl X25519 {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*secret);
        Self {
            public: PublicKey::from(&secret).to_bytes(),
            secret,
        }
    }

    /// Returns a pair of keys of which both are known.
    pub(super) fn from_pair(secret: &[u8; 32], public: [u8; 32]) -> Self {
        Self {
            secret: StaticSecret::from(*secret),
            public,
        }
    }

    pub(super) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// Returns the shared secret with the peer that has this public key; `None` if it is all zero.
    pub(super) fn agree(&self, public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*public));
        let contributory = shared.was_contributory();
        contributory.then(|| Zeroizing::new(shared.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        bytes
    }

    /// RFC 7748 §6.1.
    #[test]
    fn the_shared_secret_is_that_of_rfc_7748() {
        let alice = X25519::new(&bytes(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = X25519::new(&bytes(
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ));
        let expected = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        for (ours, theirs) in [(&alice, &bob), (&bob, &alice)] {
            assert_eq!(*ours.agree(theirs.public()).unwrap(), expected);
        }
    }

    /// RFC 7748 §5.2: the top bit of a public key is ignored.
    #[test]
    fn the_top_bit_of_a_public_key_is_ignored() {
        let (alice, mut public) = (X25519::new(&[1; 32]), *X25519::new(&[2; 32]).public());
        let shared = alice.agree(&public);
        public[31] |= 0x80;
        assert!(shared.is_some() && shared == alice.agree(&public));
    }
}
