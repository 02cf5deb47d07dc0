//! The token of a stateless reset (RFC 9000 §10.3).
//!
//! The agent gives it to the controller under encryption. An endpoint that has lost the session shows it in
//! clear, which proves that the notice comes from the agent. It is worthless afterwards: the session is over.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::Forged;
use crate::rng::Rng;
use crate::wire::limits::RESET_TOKEN;

/// Token of one session, random and therefore independent of any key that could become known.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct ResetToken([u8; RESET_TOKEN]);

impl ResetToken {
    /// Draws a token.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }

    /// Returns the token with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; RESET_TOKEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the token. Until the session is lost, they are a secret of the two endpoints.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; RESET_TOKEN] {
        &self.0
    }

    /// Compares a received token with this one, in constant time.
    ///
    /// # Errors
    /// [`Forged`] if they differ.
    pub fn verify(&self, received: &[u8; RESET_TOKEN]) -> Result<(), Forged> {
        if self.0.ct_eq(received).into() {
            Ok(())
        } else {
            Err(Forged)
        }
    }
}

impl PartialEq for ResetToken {
    fn eq(&self, other: &Self) -> bool {
        self.verify(&other.0).is_ok()
    }
}

impl Eq for ResetToken {}

impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_accepted_and_it_is_not_printed() {
        let token = ResetToken::generate(&mut Rng::from_seed([1; 32]));
        assert_eq!(token.verify(token.bytes()), Ok(()));
        for bit in 0..8 * RESET_TOKEN {
            let mut changed = *token.bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(token.verify(&changed), Err(Forged));
        }
        assert_eq!(format!("{token:?}"), "ResetToken(..)");
    }
}
