//! X25519 keys and their text form: `ua1:` and 43 characters of base64url.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::rng::Rng;

/// What the text form of a public key begins with.
const PUBLIC_PREFIX: &str = "ua1:";

/// What the text form of a secret key begins with.
const SECRET_PREFIX: &str = "ua1-secret:";

/// 32 bytes in base64 without padding.
const ENCODED: usize = 43;

/// Who someone is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// Proof of who someone is. Wiped when dropped, never printed.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

/// Text that is not a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseKeyError {
    /// Does not begin with `ua1:` (or `ua1-secret:`).
    Prefix,
    /// Not 43 characters of base64url.
    Encoding,
    /// A point of low order: no one's key.
    LowOrder,
}

impl fmt::Display for ParseKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => {
                "not a key: a public one begins with \"ua1:\", a secret one with \"ua1-secret:\""
            }
            Self::Encoding => "not a key: 43 characters of base64url must follow the prefix",
            Self::LowOrder => "not a key: this point is of low order, and no one's",
        })
    }
}

impl std::error::Error for ParseKeyError {}

impl SecretKey {
    /// A new key.
    pub fn generate(rng: &mut Rng) -> Self {
        let mut key = Self([0; 32]);
        rng.fill(&mut key.0);
        key
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let secret = x25519_dalek::StaticSecret::from(self.0);
        PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }

    /// The text form, `ua1-secret:` and 43 characters, for the key file only.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all of it and a line's end, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_PREFIX.len() + ENCODED + 1));
        text.push_str(SECRET_PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.0, &mut text);
        text
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`ParseKeyError`]
    pub fn from_text(text: &str) -> Result<Self, ParseKeyError> {
        let mut key = Self([0; 32]);
        decode(text, SECRET_PREFIX, &mut key.0)?;
        Ok(key)
    }

    /// The bytes, for the handshake.
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
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
    // The engine refuses bits that are set behind the last byte, so that a key has one text.
    let size = URL_SAFE_NO_PAD
        .decode_slice_unchecked(encoded, key)
        .map_err(|_| ParseKeyError::Encoding)?;
    debug_assert_eq!(size, key.len(), "43 characters are 32 bytes");
    Ok(())
}

/// Whether X25519 with this point has the same result, zero, for every secret. These seven are all,
/// once the top bit is cleared as X25519 does: the points of order 1, 2, 4 and 8 of the curve and
/// its twist, and those that are written above the prime (<https://cr.yp.to/ecdh.html#validate>).
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

/// 2^255 - 19 is all ones but for its ends: here with another lowest byte.
const fn near_prime(lowest: u8) -> [u8; 32] {
    let mut point = [0xFF; 32];
    point[0] = lowest;
    point[31] = 0x7F;
    point
}
