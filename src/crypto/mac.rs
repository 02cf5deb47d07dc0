//! The keyed hash that ends INIT and RETRY, under the agent's public key (as in `WireGuard`).
//!
//! It proves that the sender knows which agent it talks to, so that an agent answers no scan.
//! It is not authentication: the public key may be known to many.

use ring::{digest, hmac};
use subtle::ConstantTimeEq as _;

use super::{Forged, PublicKey};
use crate::wire::limits::MAC;

/// Keeps this use of the public key apart from every other.
const LABEL: &[u8] = b"udpagent mac v1";

/// The hash, keyed for one agent: HMAC-SHA-256, cut to 16 bytes, under SHA-256 of label and key.
pub struct AgentMac {
    key: hmac::Key,
}

impl AgentMac {
    /// Keyed with the agent's public key.
    #[must_use]
    pub fn new(agent: &PublicKey) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(LABEL);
        hash.update(&agent.0);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, hash.finish().as_ref()),
        }
    }

    /// The mac over `covered`.
    #[must_use]
    pub fn tag(&self, covered: &[u8]) -> [u8; MAC] {
        let tag = hmac::sign(&self.key, covered);
        *tag.as_ref().first_chunk().expect("SHA-256 is 32 bytes")
    }

    /// Checks it, in constant time.
    ///
    /// # Errors
    /// [`Forged`]
    pub fn verify(&self, covered: &[u8], mac: &[u8; MAC]) -> Result<(), Forged> {
        if self.tag(covered).ct_eq(mac).into() {
            Ok(())
        } else {
            Err(Forged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_mac_of_the_same_agent_over_the_same_bytes_is_taken() {
        let agent = AgentMac::new(&PublicKey([1; 32]));
        let mac = agent.tag(b"covered");
        assert_eq!(agent.verify(b"covered", &mac), Ok(()));
        assert_eq!(agent.verify(b"Covered", &mac), Err(Forged));
        let other = AgentMac::new(&PublicKey([2; 32]));
        assert_eq!(other.verify(b"covered", &mac), Err(Forged));
        for bit in 0..8 * MAC {
            let mut changed = mac;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(agent.verify(b"covered", &changed), Err(Forged));
        }
    }
}
