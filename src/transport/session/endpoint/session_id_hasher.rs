//! The hash of a session id in the table of an endpoint: the id itself.
//!
//! Sound as an endpoint draws its ids at random: a peer chooses which ids are looked up, never which are in the table, so
//! that it cannot fill one bucket. Not for keys that a peer chooses; those keep the seeded hash of the standard library.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds the hash of a [`HashMap`](std::collections::HashMap) whose keys are session ids of this endpoint.
pub(super) type BuildSessionIdHasher = BuildHasherDefault<SessionIdHasher>;

/// Hash of one session id.
#[derive(Default)]
pub(in crate::session) struct SessionIdHasher(u64);

impl Hasher for SessionIdHasher {
    fn write_u64(&mut self, id: u64) {
        self.0 ^= id;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::BuildSessionIdHasher;
    use crate::wire::SessionId;

    #[test]
    fn a_session_id_is_its_own_hash() {
        let hash = BuildSessionIdHasher::default();
        assert_eq!(
            hash.hash_one(SessionId(0x0102_0304_0506_0708)),
            0x0102_0304_0506_0708
        );
        assert_ne!(hash.hash_one([1_u8, 2]), hash.hash_one([2_u8, 1]));
    }
}
