//! Invitation tokens: 16 random bytes that admit one unknown key, once.
//!
//! An agent stores only the hash, so that a reader of its files cannot use an open invitation. Not here:
//! expiry and grants of an invitation.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::rng::Rng;
use crate::wire::limits::INVITE;

/// Secret that an invited controller presents. Wiped when dropped; printed only by
/// [`to_text`](Self::to_text).
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct InviteToken([u8; INVITE]);

/// SHA-256 of a token.
#[derive(Clone, Copy)]
pub struct InviteHash([u8; 32]);

/// Text that is not a token, or not the hash of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseInviteError;

impl InviteToken {
    /// Generates a new token.
    pub fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }

    /// Creates a token from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; INVITE]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for HELLO.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; INVITE] {
        &self.0
    }

    /// Returns the text form: 22 characters of base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns the hash of the token, which an agent may store.
    #[must_use]
    pub fn hash(&self) -> InviteHash {
        let digest = digest::digest(&digest::SHA256, &self.0);
        InviteHash(
            digest
                .as_ref()
                .try_into()
                .expect("a SHA-256 digest has 32 bytes"),
        )
    }
}

impl fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteToken(..)")
    }
}

impl FromStr for InviteToken {
    type Err = ParseInviteError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text).map(Self)
    }
}

impl InviteHash {
    /// Returns true if this is the hash of `token`. The comparison takes constant time.
    #[must_use]
    pub fn matches(&self, token: &InviteToken) -> bool {
        let other = token.hash();
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

/// Writes 43 characters of base64url.
impl fmt::Display for InviteHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for InviteHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InviteHash {
    type Err = ParseInviteError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text).map(Self)
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], ParseInviteError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseInviteError)?;
    bytes.try_into().map_err(|_| ParseInviteError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hash_is_sha_256_of_the_bytes() {
        let hash = InviteToken::from_bytes([0; INVITE]).hash();
        // head -c16 /dev/zero | openssl sha256 -binary | basenc --base64url
        assert_eq!(
            hash.to_string(),
            "N0cI__dxndWXnsh11WzSKG9tPPfsMXo7JWMqqyjsN7s"
        );
    }

    #[test]
    fn debug_output_and_hash_do_not_contain_the_token() {
        let token = InviteToken::from_bytes([7; INVITE]);
        assert_eq!(format!("{token:?}"), "InviteToken(..)");
        assert!(!token.hash().to_string().contains(&token.to_text()));
    }

    proptest! {
        #[test]
        fn text_forms_are_parsed_back(bytes: [u8; INVITE]) {
            let token = InviteToken::from_bytes(bytes);
            let again: InviteToken = token.to_text().parse().unwrap();
            prop_assert_eq!(again.as_bytes(), &bytes);
            let hash: InviteHash = token.hash().to_string().parse().unwrap();
            prop_assert!(hash.matches(&token));
        }

        #[test]
        fn one_changed_bit_does_not_match(bytes: [u8; INVITE], bit in 0_usize..8 * INVITE) {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            let hash = InviteToken::from_bytes(bytes).hash();
            prop_assert!(!hash.matches(&InviteToken::from_bytes(other)));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<InviteToken>();
            let _ = text.parse::<InviteHash>();
        }
    }
}
