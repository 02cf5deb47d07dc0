//! RETRY tokens: proof that an address receives what is sent to it, without keeping state.
//!
//! A token is the time of issue and a keyed hash over it and the address; the key lives as long as
//! the endpoint. Not a secret between peers and not bound to an identity.

use std::net::SocketAddr;
use std::time::Duration;

use super::Forged;
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::TOKEN;

/// How long a token is good: longer than any handshake takes, shorter than an address changes hands.
pub const LIFETIME: Duration = Duration::from_secs(10);

/// The key under which an endpoint issues tokens.
pub struct TokenKey {
    _todo: (),
}

impl TokenKey {
    /// A fresh key.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        todo!()
    }

    /// A token for `address`.
    #[must_use]
    pub fn issue(&self, now: Instant, address: SocketAddr) -> [u8; TOKEN] {
        todo!()
    }

    /// Checks that `token` was issued for `address` at most [`LIFETIME`] ago.
    ///
    /// # Errors
    /// [`Forged`]
    pub fn verify(
        &self,
        now: Instant,
        address: SocketAddr,
        token: &[u8; TOKEN],
    ) -> Result<(), Forged> {
        todo!()
    }
}
