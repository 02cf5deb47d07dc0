//! Shared secrets of one key and those of its peers, kept so that the next handshake costs less.
//!
//! `ss` of Noise is the same in all handshakes of two keys, and takes a fifth of the time for one: of an agent with each
//! controller, and of a controller with the hosts of one agent's key. Keeping it reveals nothing that the own key, from
//! which it follows, would not. Not the other results of a handshake, which are new in each. The time of a handshake
//! depends on whether the secret is known, which only a sender who has the key can observe: without it there is no answer.
//! Invariants: a secret is kept only when its peer was authenticated and the caller asked for it; their number is bounded;
//! they are wiped when they give way and when the last handle is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::PublicKey;

/// Maximum number of secrets: at 80 bytes each, 5 KiB. Most agents have fewer controllers, the hosts of a fleet have either
/// few keys or each its own, and a search of all takes less than a hundredth of what it saves.
const KEPT: usize = 64;

/// Secrets that one key shares with others. Clones are handles of the same secrets.
#[derive(Clone, Default)]
pub struct SharedSecrets(Arc<Mutex<Secrets>>);

#[derive(Default)]
struct Secrets {
    /// Result of the last operation with the agent's key, in a handshake that may yet fail.
    last: Option<Shared>,
    kept: Vec<Shared>,
    /// Place of the oldest one, once there are [`KEPT`].
    oldest: usize,
}

/// A secret and its peer. It is not moved, so that no copy of it stays behind.
struct Shared {
    peer: [u8; 32],
    secret: Box<Zeroizing<[u8; 32]>>,
}

impl SharedSecrets {
    /// Keeps the secret that the last handshake has computed, if it is the one with `peer`. The caller has found that the
    /// handshake is genuine, and that it may take memory.
    pub fn keep(&self, peer: &PublicKey) {
        let mut secrets = self.secrets();
        let last = secrets.last.take().filter(|last| last.peer == peer.0);
        let Some(last) = last.filter(|_| secrets.find(&peer.0).is_none()) else {
            return;
        };
        if secrets.kept.len() < KEPT {
            secrets.kept.push(last);
        } else {
            let oldest = secrets.oldest;
            secrets.kept[oldest] = last;
            secrets.oldest = (oldest + 1) % KEPT;
        }
    }

    /// Returns the secret with `peer`, which `compute` computes if it is not kept.
    pub(super) fn get(
        &self,
        peer: &[u8; 32],
        compute: impl FnOnce() -> Option<Zeroizing<[u8; 32]>>,
    ) -> Option<Zeroizing<[u8; 32]>> {
        let mut secrets = self.secrets();
        if let Some(kept) = secrets.find(peer) {
            return Some((*kept.secret).clone());
        }
        let computed = compute()?;
        secrets.last = Some(Shared {
            peer: *peer,
            secret: Box::new(computed.clone()),
        });
        Some(computed)
    }

    fn secrets(&self) -> MutexGuard<'_, Secrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets {
    fn find(&self, peer: &[u8; 32]) -> Option<&Shared> {
        self.kept.iter().find(|kept| kept.peer == *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn peer(number: usize) -> [u8; 32] {
        [number.to_le_bytes()[0]; 32]
    }

    /// Returns true if the secret with this peer had to be computed.
    fn is_computed(secrets: &SharedSecrets, number: usize) -> bool {
        let mut computed = false;
        let secret = secrets.get(&peer(number), || {
            computed = true;
            Some(Zeroizing::new(peer(number + 1)))
        });
        assert_eq!(*secret.unwrap(), peer(number + 1));
        computed
    }

    #[test]
    fn a_secret_is_kept_only_when_the_caller_asks_for_it() {
        let secrets = SharedSecrets::default();
        assert!(is_computed(&secrets, 1));
        assert!(is_computed(&secrets, 1));
        // Another handshake came between them.
        secrets.keep(&PublicKey(peer(2)));
        assert!(is_computed(&secrets, 1));
        secrets.keep(&PublicKey(peer(1)));
        assert!(!is_computed(&secrets, 1));
        assert!(!is_computed(&secrets.clone(), 1));
        assert!(secrets.get(&peer(3), || None).is_none());
    }

    #[test]
    fn the_oldest_secret_gives_way() {
        let secrets = SharedSecrets::default();
        for number in 0..=KEPT {
            assert!(is_computed(&secrets, number));
            secrets.keep(&PublicKey(peer(number)));
        }
        assert_eq!(secrets.secrets().kept.len(), KEPT);
        assert!(!is_computed(&secrets, 1));
        assert!(!is_computed(&secrets, KEPT));
        assert!(is_computed(&secrets, 0));
    }
}
