//! RETRY tokens: stateless validation of an address (RFC 9000 §8.1.2).
//!
//! A token is the time of issue and a keyed hash over it and the address; the key lives as long as the
//! endpoint. A token is not secret and not bound to an identity.

use std::time::Duration;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Forged;
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::TOKEN;

/// Lifetime of a token: longer than any handshake, shorter than the time in which an address is reassigned.
pub const LIFETIME: Duration = Duration::from_secs(10);

/// Number of bytes of a token that hold the time of issue; the truncated keyed hash follows.
const TIME: usize = 8;

/// Key with which an endpoint issues tokens.
pub struct TokenKey {
    key: hmac::Key,
}

impl TokenKey {
    /// Generates a new key.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let key = Zeroizing::new(rng.bytes::<32>());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &*key),
        }
    }

    /// Returns a token for `address`.
    #[must_use]
    pub fn issue(&self, now: Instant, address: PeerAddr) -> [u8; TOKEN] {
        let time = now.as_micros().to_be_bytes();
        let mut hash = hmac::Context::with_key(&self.key);
        hash.update(&time);
        hash.update(&address.to_bytes());
        let hash = hash.sign();

        let mut token = [0; TOKEN];
        token[..TIME].copy_from_slice(&time);
        token[TIME..].copy_from_slice(&hash.as_ref()[..TOKEN - TIME]);
        token
    }

    /// Verifies that `token` was issued for `address` at most ten seconds (`LIFETIME`) ago.
    ///
    /// # Errors
    /// [`Forged`] if the token has expired or was not issued with this key for this address.
    pub fn verify(
        &self,
        now: Instant,
        address: PeerAddr,
        token: &[u8; TOKEN],
    ) -> Result<(), Forged> {
        let time = *token.first_chunk().expect("a token begins with its time");
        let issued = Instant::from_micros(u64::from_be_bytes(time));
        let genuine = bool::from(self.issue(issued, address).ct_eq(token));
        if genuine && issued <= now && now.since(issued) <= LIFETIME {
            Ok(())
        } else {
            Err(Forged)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const NOW: Instant = Instant::from_micros(1_000_000_000);

    fn key(seed: u8) -> TokenKey {
        TokenKey::new(&mut Rng::from_seed([seed; 32]))
    }

    fn address(text: &str) -> PeerAddr {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn a_token_is_valid_for_its_address_and_lifetime() {
        let issued_to = address("192.0.2.1:4000");
        let token = key(1).issue(NOW, issued_to);
        assert_eq!(key(1).verify(NOW, issued_to, &token), Ok(()));
        assert_eq!(key(1).verify(NOW + LIFETIME, issued_to, &token), Ok(()));
        let late = NOW + LIFETIME + Duration::from_micros(1);
        assert_eq!(key(1).verify(late, issued_to, &token), Err(Forged));
        let early = NOW - Duration::from_micros(1);
        assert_eq!(key(1).verify(early, issued_to, &token), Err(Forged));
    }

    #[test]
    fn another_address_key_or_bit_is_refused() {
        let issued_to = address("192.0.2.1:4000");
        let token = key(1).issue(NOW, issued_to);
        for other in ["192.0.2.2:4000", "192.0.2.1:4001", "[2001:db8::1]:4000"] {
            assert_eq!(key(1).verify(NOW, address(other), &token), Err(Forged));
        }
        assert_eq!(key(2).verify(NOW, issued_to, &token), Err(Forged));
        for bit in 0..8 * TOKEN {
            let mut changed = token;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key(1).verify(NOW, issued_to, &changed), Err(Forged));
        }
    }

    #[test]
    fn a_token_for_an_ipv4_address_is_valid_for_its_mapped_address() {
        let token = key(1).issue(NOW, address("192.0.2.1:4000"));
        let mapped = address("[::ffff:192.0.2.1]:4000");
        assert_eq!(key(1).verify(NOW, mapped, &token), Ok(()));
    }
}
