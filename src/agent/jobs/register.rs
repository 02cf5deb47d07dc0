//! Ids of forgotten jobs, so that a late repetition of their request starts nothing.
//!
//! Not the jobs themselves. Invariant: an id is known until it is evicted, as the oldest of a key with too many, and the
//! entry time of the youngest evicted id of each key is kept forever.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::processes::Digest;
use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::message::RequestId;
use crate::time::Instant;

/// The remembered ids.
#[derive(Default, Debug)]
pub struct Register {
    // The number of keys is bounded by authorized_keys and the invitations.
    keys: HashMap<PublicKey, Entries>,
    len: usize,
}

/// Those of a key.
#[derive(Default, Debug)]
struct Entries {
    known: HashMap<RequestId, Digest>,
    /// Oldest first.
    order: VecDeque<(Instant, RequestId)>,
    horizon: Option<Instant>,
}

impl Entries {
    /// Forgets the oldest id.
    fn evict(&mut self) {
        if let Some((entered, id)) = self.order.pop_front() {
            self.known.remove(&id);
            self.horizon = self.horizon.max(Some(entered));
        }
    }
}

impl Register {
    /// Remembers an id and the hash of its request.
    pub fn enter(&mut self, now: Instant, key: PublicKey, id: RequestId, digest: Digest) {
        let own = self.keys.entry(key).or_default();
        match own.known.entry(id) {
            Entry::Occupied(_) => return,
            Entry::Vacant(entry) => entry.insert(digest),
        };
        own.order.push_back((now, id));
        self.len += 1;
        if own.order.len() > limits::REGISTER_PER_KEY {
            own.evict();
            self.len -= 1;
        } else if self.len > limits::REGISTER {
            let keys = self.keys.values_mut();
            if let Some(greatest) = keys.max_by_key(|entries| entries.order.len()) {
                greatest.evict();
                self.len -= 1;
            }
        }
    }

    /// Returns all entries, those of a key oldest first: key, id, hash, time of entry.
    pub fn entries(&self) -> impl Iterator<Item = (PublicKey, RequestId, Digest, Instant)> {
        self.keys.iter().flat_map(|(&key, entries)| {
            entries.order.iter().filter_map(move |&(at, id)| {
                let digest = *entries.known.get(&id)?;
                Some((key, id, digest, at))
            })
        })
    }

    /// Returns the time of entry of the youngest evicted id of each key that has lost one.
    pub fn horizons(&self) -> impl Iterator<Item = (PublicKey, Instant)> {
        let keys = self.keys.iter();
        keys.filter_map(|(&key, entries)| Some((key, entries.horizon?)))
    }

    /// Takes the horizon of a key, whose entries were entered here.
    pub fn set_horizon(&mut self, key: PublicKey, horizon: Instant) {
        let own = self.keys.entry(key).or_default();
        own.horizon = own.horizon.max(Some(horizon));
    }

    /// Returns the hash of the request, if its id is remembered.
    #[must_use]
    pub fn find(&self, key: &PublicKey, id: RequestId) -> Option<Digest> {
        self.keys.get(key)?.known.get(&id).copied()
    }

    /// Returns true if no id of the key entered at `then` or later has been evicted.
    #[must_use]
    pub fn reaches_back_to(&self, key: &PublicKey, then: Instant) -> bool {
        let horizon = self.keys.get(key).and_then(|entries| entries.horizon);
        horizon.is_none_or(|horizon| then > horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PublicKey = PublicKey([1; 32]);
    const OTHER: PublicKey = PublicKey([2; 32]);

    fn id(number: usize) -> RequestId {
        RequestId((number as u128).to_be_bytes())
    }

    fn at(number: usize) -> Instant {
        Instant::from_micros(number as u64 + 7)
    }

    #[test]
    fn the_oldest_id_of_a_key_is_evicted_at_its_bound_and_its_age_is_kept() {
        let mut register = Register::default();
        register.enter(at(0), OTHER, id(0), [1; 8]);
        for number in 0..=limits::REGISTER_PER_KEY {
            assert!(register.reaches_back_to(&ONE, Instant::ZERO));
            register.enter(at(number), ONE, id(number), [1; 8]);
        }
        assert_eq!(register.find(&ONE, id(0)), None);
        assert_eq!(register.find(&ONE, id(1)), Some([1; 8]));
        assert_eq!(register.find(&OTHER, id(1)), None);
        assert!(!register.reaches_back_to(&ONE, at(0)));
        assert!(register.reaches_back_to(&ONE, at(1)));
        // The other key notices nothing.
        assert_eq!(register.find(&OTHER, id(0)), Some([1; 8]));
        assert!(register.reaches_back_to(&OTHER, Instant::ZERO));
        assert_eq!(register.horizons().collect::<Vec<_>>(), [(ONE, at(0))]);
    }

    #[test]
    fn beyond_the_bound_of_all_the_key_with_the_most_ids_loses_its_oldest() {
        let mut register = Register::default();
        let keys = [1, 2, 3].map(|byte| PublicKey([byte; 32]));
        for number in 0..limits::REGISTER / 2 {
            register.enter(at(number), keys[0], id(number), [1; 8]);
            if number < limits::REGISTER / 2 - 10 {
                register.enter(at(number), keys[1], id(number), [1; 8]);
            }
        }
        for number in 0..20 {
            register.enter(at(number), keys[2], id(number), [1; 8]);
        }
        assert_eq!(register.entries().count(), limits::REGISTER);
        assert!(!register.reaches_back_to(&keys[0], at(9)));
        assert!(register.reaches_back_to(&keys[0], at(10)));
        for key in &keys[1..] {
            assert!(register.reaches_back_to(key, Instant::ZERO));
            assert_eq!(register.find(key, id(0)), Some([1; 8]));
        }
    }
}
