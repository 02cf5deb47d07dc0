//! Invitation tokens: 16 random bytes that admit one unknown key, once.
//!
//! An agent stores only the hash, so that who reads its files cannot use an open invitation. Not here:
//! when an invitation ends and what it grants.

use std::fmt;
use std::str::FromStr;

use crate::rng::Rng;
use crate::wire::limits::INVITE;

/// What an invited controller shows. Wiped when dropped; printed only by [`to_text`](Self::to_text).
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct InviteToken([u8; INVITE]);

/// SHA-256 of a token.
#[derive(Clone, Copy)]
pub struct InviteHash([u8; 32]);

/// Text that is not a token, or not the hash of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseInviteError;

impl InviteToken {
    /// A new token.
    pub fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }

    /// The token with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; INVITE]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for HELLO.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; INVITE] {
        &self.0
    }

    /// 22 characters of base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        todo!()
    }

    /// What may be stored.
    #[must_use]
    pub fn hash(&self) -> InviteHash {
        todo!()
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
        todo!()
    }
}
