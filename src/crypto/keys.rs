//! X25519 keys and their text form: `ua1:` and 43 characters of base64url.

use std::fmt;
use std::str::FromStr;

use crate::rng::Rng;

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

impl SecretKey {
    /// A new key.
    pub fn generate(rng: &mut Rng) -> Self {
        todo!()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        todo!()
    }

    /// The text form, `ua1-secret:` and 43 characters, for the key file only.
    #[must_use]
    pub fn to_text(&self) -> zeroize::Zeroizing<String> {
        todo!()
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`ParseKeyError`]
    pub fn from_text(text: &str) -> Result<Self, ParseKeyError> {
        todo!()
    }

    /// The bytes, for the handshake.
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for PublicKey {
    type Err = ParseKeyError;
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        todo!()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
