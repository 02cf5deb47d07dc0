//! Rate limits of INITs: of one key, of one network, and of all addresses that are not validated.
//!
//! The generic cell rate algorithm: a limit is one instant. Networks share a table of fixed size, in which
//! their place depends on a secret, so that nobody can choose whose place it shares. Invariant: the table
//! neither grows nor fills.

use std::hash::{DefaultHasher, Hasher as _};

use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::limits;
use crate::session::rate::Rate;
use crate::time::Instant;

/// Progress against a rate.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Bucket {
    /// Time at which everything taken is paid for.
    paid: Option<Instant>,
}

impl Bucket {
    /// Takes one; returns false if the rate allows none now.
    pub(super) fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let paid = self.paid.map_or(now, |paid| paid.max(now));
        if paid.since(now) > rate.interval * rate.burst.saturating_sub(1) {
            return false;
        }
        self.paid = Some(paid + rate.interval);
        true
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self, rate: Rate) {
        self.paid = self.paid.map(|paid| paid - rate.interval);
    }

    /// Returns true if everything taken is paid for.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.paid.is_none_or(|paid| paid <= now)
    }
}

/// Place of a network in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Network(usize);

/// Limits of all networks.
pub(super) struct Networks {
    secret: [u8; 16],
    /// Limits of INITs from addresses that are not validated, and of those that are. An attacker who forges
    /// addresses uses up the former only.
    buckets: Vec<[Bucket; 2]>,
}

impl Networks {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            secret: rng.bytes(),
            buckets: vec![[Bucket::default(); 2]; limits::NETWORKS],
        }
    }

    /// Returns the place of the network that an address belongs to.
    pub(super) fn network(&self, address: PeerAddr) -> Network {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.secret);
        hasher.write(&address.network().to_bytes());
        let places = limits::NETWORKS as u64;
        Network(usize::try_from(hasher.finish() % places).unwrap_or(0))
    }

    /// Takes one INIT of a network.
    pub(super) fn take(&mut self, now: Instant, network: Network, validated: bool) -> bool {
        self.buckets[network.0][usize::from(validated)].take(now, limits::NETWORK_INITS)
    }

    /// Gives an INIT back that came from a known key.
    pub(super) fn give_back(&mut self, network: Network, validated: bool) {
        self.buckets[network.0][usize::from(validated)].give_back(limits::NETWORK_INITS);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_allows_its_burst_at_once_and_one_more_in_each_interval() {
        let rate = Rate {
            interval: Duration::from_millis(10),
            burst: 5,
        };
        let (mut bucket, start) = (Bucket::default(), Instant::from_micros(1_000_000));
        let taken = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now, rate)).count();
        assert_eq!(taken(&mut bucket, start), 5);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(9)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(30)), 3);
        bucket.give_back(rate);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(30)), 1);
        let later = start + Duration::from_secs(1);
        assert!(bucket.is_full(later));
        assert_eq!(taken(&mut bucket, later), 5);
    }
}
