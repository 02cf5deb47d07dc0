//! Ids of forgotten jobs, so that a late repetition of their request starts nothing.
//!
//! Not the jobs themselves. Invariant: an id is known until it is evicted as the oldest one, and the entry time
//! of the youngest evicted id is kept forever.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::processes::Digest;
use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::message::RequestId;
use crate::time::Instant;

/// Index of a key: four bytes in an entry instead of thirty-two.
type Owner = u32;

/// The remembered ids, oldest first.
#[derive(Default, Debug)]
pub struct Register {
    owners: HashMap<PublicKey, Owner>,
    known: HashMap<(Owner, RequestId), Digest>,
    order: VecDeque<(Instant, Owner, RequestId)>,
    horizon: Option<Instant>,
}

impl Register {
    /// Remembers an id and the hash of its request.
    pub fn enter(&mut self, now: Instant, key: PublicKey, id: RequestId, digest: Digest) {
        // The number of keys is bounded by authorized_keys and the invitations.
        let next = Owner::try_from(self.owners.len()).expect("fewer keys than 2^32");
        let owner = *self.owners.entry(key).or_insert(next);
        match self.known.entry((owner, id)) {
            Entry::Occupied(_) => return,
            Entry::Vacant(entry) => entry.insert(digest),
        };
        self.order.push_back((now, owner, id));
        if self.order.len() > limits::REGISTER {
            let (entered, owner, id) = self
                .order
                .pop_front()
                .expect("the register is above its bound");
            self.known.remove(&(owner, id));
            self.horizon = Some(entered);
        }
    }

    /// Returns all entries, oldest first: key, id, hash, time of entry.
    pub fn entries(&self) -> impl Iterator<Item = (PublicKey, RequestId, Digest, Instant)> {
        let keys: HashMap<Owner, PublicKey> = self.owners.iter().map(|(&k, &o)| (o, k)).collect();
        self.order.iter().filter_map(move |&(at, owner, id)| {
            let digest = *self.known.get(&(owner, id))?;
            Some((*keys.get(&owner)?, id, digest, at))
        })
    }

    /// Returns the time of entry of the youngest evicted id.
    #[must_use]
    pub const fn horizon(&self) -> Option<Instant> {
        self.horizon
    }

    /// Takes the horizon of a register whose entries were entered here.
    pub const fn set_horizon(&mut self, horizon: Option<Instant>) {
        self.horizon = horizon;
    }

    /// Returns the hash of the request, if its id is remembered.
    #[must_use]
    pub fn find(&self, key: &PublicKey, id: RequestId) -> Option<Digest> {
        let owner = *self.owners.get(key)?;
        self.known.get(&(owner, id)).copied()
    }

    /// Returns true if no id entered at `then` or later has been evicted.
    #[must_use]
    pub fn reaches_back_to(&self, then: Instant) -> bool {
        self.horizon.is_none_or(|horizon| then > horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> RequestId {
        RequestId((number as u128).to_be_bytes())
    }

    #[test]
    fn the_oldest_id_is_evicted_at_the_bound_and_its_age_is_kept() {
        let key = PublicKey([1; 32]);
        let mut register = Register::default();
        for number in 0..=limits::REGISTER {
            assert!(register.reaches_back_to(Instant::ZERO));
            let at = Instant::from_micros(number as u64 + 7);
            register.enter(at, key, id(number), [1; 8]);
        }
        assert_eq!(register.find(&key, id(0)), None);
        assert_eq!(register.find(&key, id(1)), Some([1; 8]));
        assert_eq!(register.find(&PublicKey([2; 32]), id(1)), None);
        assert!(!register.reaches_back_to(Instant::from_micros(7)));
        assert!(register.reaches_back_to(Instant::from_micros(8)));
    }
}
