//! The mac at the end of INIT and RETRY, keyed with the agent's public key (as in `WireGuard`).
//!
//! It proves that the sender knows the agent's public key, so that an agent does not answer scans. It is
//! not authentication: the public key may be known to many.

use aws_lc_rs::{digest, hmac};
use subtle::ConstantTimeEq as _;

use super::{Forged, PublicKey};
use crate::wire::limits::MAC;

/// Domain separation from other uses of the public key.
const LABEL: &[u8] = b"udpagent mac v1";

/// Mac of one agent: HMAC-SHA-256, truncated to 16 bytes, under the SHA-256 of label and public key.
pub struct AgentMac {
    key: hmac::Key,
}

impl AgentMac {
    /// Creates the mac from the agent's public key.
    #[must_use]
    pub fn new(agent: &PublicKey) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(LABEL);
        hash.update(&agent.0);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, hash.finish().as_ref()),
        }
    }

    /// Returns the mac over `covered`.
    #[must_use]
    pub fn tag(&self, covered: &[u8]) -> [u8; MAC] {
        let tag = hmac::sign(&self.key, covered);
        *tag.as_ref()
            .first_chunk()
            .expect("a SHA-256 digest has 32 bytes")
    }

    /// Verifies the mac over `covered`, in constant time.
    ///
    /// # Errors
    /// [`Forged`] if the mac differs.
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
    fn only_the_whole_mac_of_the_same_agent_over_the_same_bytes_is_accepted() {
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
