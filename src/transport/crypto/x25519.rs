//! X25519 (RFC 7748), by the faster of two libraries that the processor can run.
//!
//! graviola has the formally verified assembly of s2n-bignum, in less than half the time of x25519-dalek, but only for
//! x86-64 with ADX and AVX2 and for aarch64 with the AES extension; x25519-dalek runs everywhere. Invariants: both give
//! the same result for every input; an all-zero result, to which the peer did not contribute (§6.1), is none; copies of
//! secrets are wiped.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// A secret key and its public one.
pub(super) struct X25519 {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519 {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self::from_pair(secret, public_key(secret))
    }

    /// Returns a pair of keys of which both are known.
    pub(super) fn from_pair(secret: &[u8; 32], public: [u8; 32]) -> Self {
        let secret = Zeroizing::new(*secret);
        Self { secret, public }
    }

    pub(super) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Returns the shared secret with the peer that has this public key; `None` if it is all zero.
    pub(super) fn agree(&self, public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        if assembly::is_supported() {
            assembly::agree(&self.secret, public)
        } else {
            portable_agree(&self.secret, public)
        }
    }
}

fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    if assembly::is_supported() {
        assembly::public_key(secret)
    } else {
        portable_public_key(secret)
    }
}

fn portable_public_key(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

fn portable_agree(secret: &[u8; 32], public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public));
    let contributory = shared.was_contributory();
    contributory.then(|| Zeroizing::new(shared.to_bytes()))
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod assembly {
    use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
    use zeroize::Zeroizing;

    /// Returns true if the processor has the instructions that graviola requires: it panics without them.
    pub(super) fn is_supported() -> bool {
        graviola::util::is_cpu_supported()
    }

    pub(super) fn public_key(secret: &[u8; 32]) -> [u8; 32] {
        StaticPrivateKey::from_array(secret).public_key().as_bytes()
    }

    pub(super) fn agree(secret: &[u8; 32], public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        StaticPrivateKey::from_array(secret)
            .diffie_hellman(&PublicKey::from_array(public))
            .ok()
            .map(|shared| Zeroizing::new(shared.as_bytes()))
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use portable_only as assembly;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod portable_only {
    pub(super) use super::{portable_agree as agree, portable_public_key as public_key};

    pub(super) const fn is_supported() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Points of low order and their neighbours, with and without the top bit, and values from the field's order upwards:
    /// the least significant byte, the other ones, and the most significant one.
    fn edges() -> impl Strategy<Value = [u8; 32]> {
        (
            prop_oneof![0_u8..10, 0xe0_u8..],
            prop_oneof![Just(0_u8), Just(0xff_u8)],
            prop_oneof![Just(0_u8), Just(0x7f_u8), Just(0x80_u8), Just(0xff_u8)],
        )
            .prop_map(|(first, middle, last)| {
                let mut bytes = [middle; 32];
                bytes[0] = first;
                bytes[31] = last;
                bytes
            })
    }

    proptest! {
        #[test]
        fn both_libraries_agree_on_every_input(
            secret in any::<[u8; 32]>(),
            public in prop_oneof![any::<[u8; 32]>(), edges()],
        ) {
            if assembly::is_supported() {
                prop_assert_eq!(assembly::public_key(&secret), portable_public_key(&secret));
                prop_assert_eq!(assembly::agree(&secret, &public), portable_agree(&secret, &public));
            }
        }
    }

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
