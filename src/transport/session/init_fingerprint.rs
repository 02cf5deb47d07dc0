//! The fingerprint by which an agent recognizes an INIT that it has answered.

use crate::wire::limits::MAC;

/// First half of an INIT's mac. The mac covers the ephemeral key, which is new in each INIT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InitFingerprint(pub u64);

impl InitFingerprint {
    pub(super) fn new(mac: &[u8; MAC]) -> Self {
        let mut half = [0; 8];
        half.copy_from_slice(&mac[..8]);
        Self(u64::from_be_bytes(half))
    }
}
