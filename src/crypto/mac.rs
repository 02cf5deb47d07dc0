//! The keyed hash that ends INIT and RETRY, under the agent's public key (as WireGuard's mac1).
//!
//! It proves that the sender knows which agent it talks to, so that an agent answers no scan.
//! It is not authentication: the public key may be known to many.

use super::{Forged, PublicKey};
use crate::wire::limits::MAC;

/// The hash, keyed for one agent.
pub struct AgentMac {
    _todo: (),
}

impl AgentMac {
    /// Keyed with the agent's public key.
    #[must_use]
    pub fn new(agent: &PublicKey) -> Self {
        todo!()
    }

    /// The mac over `covered`.
    #[must_use]
    pub fn tag(&self, covered: &[u8]) -> [u8; MAC] {
        todo!()
    }

    /// Checks it, in constant time.
    ///
    /// # Errors
    /// [`Forged`]
    pub fn verify(&self, covered: &[u8], mac: &[u8; MAC]) -> Result<(), Forged> {
        todo!()
    }
}
