//! X25519 keys and their text form: `ua1:` and 43 characters of base64url.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::x25519::X25519;
use crate::rng::Rng;

/// Prefix of the text form of a public key.
const PUBLIC_PREFIX: &str = "ua1:";

/// Prefix of the text form of a secret key.
const SECRET_PREFIX: &str = "ua1-secret:";

/// Length of 32 bytes in base64 without padding.
const ENCODED: usize = 43;

/// Public key: the identity of an agent or controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// Secret key of an identity, with its public key, which takes as long to derive as a third of a shared secret. Wiped when
/// dropped, never printed.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SecretKey {
    bytes: [u8; 32],
    public: [u8; 32],
}

/// Reason why a text is not a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseKeyError {
    /// The text does not begin with `ua1:` (or `ua1-secret:`).
    Prefix,
    /// The prefix is not followed by exactly 43 characters of base64url.
    Encoding,
    /// The key is a point of low order, which is the public key of no secret key.
    LowOrder,
}

impl fmt::Display for ParseKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => {
                "not a key: a public one begins with \"ua1:\", a secret one with \"ua1-secret:\""
            }
            Self::Encoding => "not a key: 43 characters of base64url must follow the prefix",
            Self::LowOrder => "not a key: a point of low order is no one's public key",
        })
    }
}

impl std::error::Error for ParseKeyError {}

impl SecretKey {
    /// Generates a new key.
    pub fn generate(rng: &mut Rng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(&mut *bytes);
        Self::new(&bytes)
    }

    fn new(bytes: &[u8; 32]) -> Self {
        Self {
            bytes: *bytes,
            public: *X25519::new(bytes).public(),
        }
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        PublicKey(self.public)
    }

    /// Returns the text form, `ua1-secret:` and 43 characters, for the key file only.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Capacity for the text and a newline: growing the string would leave a copy of the key in memory.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_PREFIX.len() + ENCODED + 1));
        text.push_str(SECRET_PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.bytes, &mut text);
        text
    }

    /// Parses the text form.
    ///
    /// # Errors
    /// Fails if `text` is not the text form of a secret key.
    pub fn from_text(text: &str) -> Result<Self, ParseKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        decode(text, SECRET_PREFIX, &mut bytes)?;
        Ok(Self::new(&bytes))
    }

    /// Returns the bytes, for the handshake.
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ENCODED];
        URL_SAFE_NO_PAD
            .encode_slice(self.0, &mut text)
            .expect("32 bytes take 43 characters");
        f.write_str(PUBLIC_PREFIX)?;
        f.write_str(std::str::from_utf8(&text).expect("base64 is ASCII"))
    }
}

impl FromStr for PublicKey {
    type Err = ParseKeyError;
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let mut key = Self([0; 32]);
        decode(text, PUBLIC_PREFIX, &mut key.0)?;
        if is_low_order(key.0) {
            return Err(ParseKeyError::LowOrder);
        }
        Ok(key)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn decode(text: &str, prefix: &str, key: &mut [u8; 32]) -> Result<(), ParseKeyError> {
    let encoded = text.strip_prefix(prefix).ok_or(ParseKeyError::Prefix)?;
    if encoded.len() != ENCODED {
        return Err(ParseKeyError::Encoding);
    }
    // The engine refuses bits set after the last byte, so that a key has only one text form.
    let size = URL_SAFE_NO_PAD
        .decode_slice_unchecked(encoded, key)
        .map_err(|_| ParseKeyError::Encoding)?;
    debug_assert_eq!(size, key.len(), "43 characters are 32 bytes");
    Ok(())
}

/// Returns true if X25519 with this point is zero for every secret key. With the top bit cleared, as X25519
/// does, there are seven such points: those of order 1, 2, 4 and 8 on the curve and its twist, and their
/// encodings at or above the prime (<https://cr.yp.to/ecdh.html#validate>).
fn is_low_order(mut point: [u8; 32]) -> bool {
    point[31] &= 0x7F;
    LOW_ORDER.contains(&point)
}

const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    near_prime(0xEC),
    near_prime(0xED),
    near_prime(0xEE),
];

/// Returns 2^255 - 19, which is all ones except for its ends, with another lowest byte.
const fn near_prime(lowest: u8) -> [u8; 32] {
    let mut point = [0xFF; 32];
    point[0] = lowest;
    point[31] = 0x7F;
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALICE: [u8; 32] = *b"\x77\x07\x6d\x0a\x73\x18\xa5\x7d\x3c\x16\xc1\x72\x51\xb2\x66\x45\
\xdf\x4c\x2f\x87\xeb\xc0\x99\x2a\xb1\x77\xfb\xa5\x1d\xb9\x2c\x2a";

    /// RFC 7748 §6.1.
    #[test]
    fn the_public_key_is_that_of_x25519() {
        let public = SecretKey::new(&ALICE).public();
        assert_eq!(
            public.to_string(),
            "ua1:hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
        );
    }

    #[test]
    fn debug_output_does_not_contain_the_secret_key() {
        assert_eq!(format!("{:?}", SecretKey::new(&ALICE)), "SecretKey(..)");
    }

    #[test]
    fn text_that_is_not_a_key_is_refused_with_a_reason() {
        use ParseKeyError::{Encoding, Prefix};
        let good = PublicKey([9; 32]).to_string();
        assert_eq!(good.parse::<PublicKey>(), Ok(PublicKey([9; 32])));
        for (text, error) in [
            (String::new(), Prefix),
            ("ua2:".to_owned() + &good[4..], Prefix),
            (good.to_uppercase(), Prefix),
            (good[..46].to_owned(), Encoding),
            (good.clone() + "=", Encoding),
            (good.clone() + "A", Encoding),
            (format!("ua1: {}", &good[5..]), Encoding),
            (format!("ua1:+{}", &good[5..]), Encoding),
            // 42 characters in 43 bytes.
            (format!("ua1:\u{e9}{}", &good[6..]), Encoding),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(error), "{text}");
        }
        let secret = SecretKey::new(&ALICE).to_text();
        assert_eq!(secret.parse::<PublicKey>(), Err(Prefix));
        assert_eq!(SecretKey::from_text(&good).err(), Some(Prefix));
    }

    #[test]
    fn a_key_has_only_one_text_form() {
        let text = PublicKey([9; 32]).to_string();
        // The two unused bits of the last character must be zero.
        assert!(text.ends_with('k'));
        for last in ["l", "m", "n"] {
            let other = text[..46].to_owned() + last;
            assert_eq!(other.parse::<PublicKey>(), Err(ParseKeyError::Encoding));
        }
    }

    #[test]
    fn points_of_low_order_are_refused() {
        let secret = X25519::new(&ALICE);
        for mut point in LOW_ORDER {
            for top in [0, 0x80] {
                point[31] ^= top;
                assert_eq!(secret.agree(&point), None, "{point:x?} is not of low order");
                let text = PublicKey(point).to_string();
                assert_eq!(text.parse::<PublicKey>(), Err(ParseKeyError::LowOrder));
            }
        }
    }

    proptest! {
        #[test]
        fn the_text_forms_are_parsed_back(bytes: [u8; 32]) {
            let public = PublicKey(bytes);
            prop_assert_eq!(public.to_string().len(), 47);
            prop_assert_eq!(public.to_string().parse(), Ok(public));
            let text = SecretKey::new(&bytes).to_text();
            prop_assert_eq!(SecretKey::from_text(&text).unwrap().bytes, bytes);
        }

        #[test]
        fn no_text_panics(text: String, tail in "[A-Za-z0-9_-]{40,44}") {
            let _ = text.parse::<PublicKey>();
            let _ = format!("ua1:{text}").parse::<PublicKey>();
            let _ = SecretKey::from_text(&format!("ua1-secret:{tail}"));
        }
    }
}
