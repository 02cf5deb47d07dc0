//! RETRY tokens: proof that an address receives what is sent to it, without keeping state.
//!
//! A token is the time of issue and a keyed hash over it and the address; the key lives as long as
//! the endpoint. Not a secret between peers and not bound to an identity.

use std::time::Duration;

use ring::hmac;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Forged;
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::TOKEN;

/// How long a token is good: longer than any handshake takes, shorter than an address changes hands.
pub const LIFETIME: Duration = Duration::from_secs(10);

/// Bytes of a token that tell when it was issued; the keyed hash, cut short, is the rest.
const TIME: usize = 8;

/// The key under which an endpoint issues tokens.
pub struct TokenKey {
    key: hmac::Key,
}

impl TokenKey {
    /// A fresh key.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let key = Zeroizing::new(rng.bytes::<32>());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &*key),
        }
    }

    /// A token for `address`.
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

    /// Checks that `token` was issued for `address` at most ten seconds (`LIFETIME`) ago.
    ///
    /// # Errors
    /// [`Forged`]
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
    fn a_token_is_good_for_its_address_and_its_time() {
        let home = address("192.0.2.1:4000");
        let token = key(1).issue(NOW, home);
        assert_eq!(key(1).verify(NOW, home, &token), Ok(()));
        assert_eq!(key(1).verify(NOW + LIFETIME, home, &token), Ok(()));
        let late = NOW + LIFETIME + Duration::from_micros(1);
        assert_eq!(key(1).verify(late, home, &token), Err(Forged));
        let early = NOW - Duration::from_micros(1);
        assert_eq!(key(1).verify(early, home, &token), Err(Forged));
    }

    #[test]
    fn another_address_key_or_bit_is_refused() {
        let home = address("192.0.2.1:4000");
        let token = key(1).issue(NOW, home);
        for other in ["192.0.2.2:4000", "192.0.2.1:4001", "[2001:db8::1]:4000"] {
            assert_eq!(key(1).verify(NOW, address(other), &token), Err(Forged));
        }
        assert_eq!(key(2).verify(NOW, home, &token), Err(Forged));
        for bit in 0..8 * TOKEN {
            let mut changed = token;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key(1).verify(NOW, home, &changed), Err(Forged));
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let token = key(1).issue(NOW, address("192.0.2.1:4000"));
        let mapped = address("[::ffff:192.0.2.1]:4000");
        assert_eq!(key(1).verify(NOW, mapped, &token), Ok(()));
    }
}
