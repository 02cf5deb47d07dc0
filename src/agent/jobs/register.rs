//! Ids of jobs that were forgotten, so that a late repeat of their request starts nothing.
//!
//! Not the jobs themselves. Invariant: an id is known from its entry until it falls out at the far end,
//! and when the youngest that fell out was entered is known for ever.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::message::RequestId;
use crate::time::Instant;

/// Stands for a key: four bytes in an entry rather than thirty-two.
type Owner = u32;

/// The ids, oldest first.
#[derive(Default, Debug)]
pub struct Register {
    owners: HashMap<PublicKey, Owner>,
    known: HashSet<(Owner, RequestId)>,
    order: VecDeque<(Instant, Owner, RequestId)>,
    horizon: Option<Instant>,
}

impl Register {
    /// Remembers an id.
    pub fn enter(&mut self, now: Instant, key: PublicKey, id: RequestId) {
        // Keys are never many: each was admitted by a line in a file or by an invitation.
        let next = Owner::try_from(self.owners.len()).expect("fewer keys than 2^32");
        let owner = *self.owners.entry(key).or_insert(next);
        if !self.known.insert((owner, id)) {
            return;
        }
        self.order.push_back((now, owner, id));
        if self.order.len() > limits::REGISTER {
            let (entered, owner, id) = self.order.pop_front().expect("it is over its bound");
            self.known.remove(&(owner, id));
            self.horizon = Some(entered);
        }
    }

    /// Whether this id is one of them.
    pub fn knows(&self, key: &PublicKey, id: RequestId) -> bool {
        self.owners
            .get(key)
            .is_some_and(|&owner| self.known.contains(&(owner, id)))
    }

    /// Whether an id used at `then` could have fallen out.
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
    fn ids_fall_out_at_the_bound_and_leave_their_age() {
        let key = PublicKey([1; 32]);
        let mut register = Register::default();
        for number in 0..=limits::REGISTER {
            assert!(register.reaches_back_to(Instant::ZERO));
            register.enter(Instant::from_micros(number as u64 + 7), key, id(number));
        }
        assert!(!register.knows(&key, id(0)));
        assert!(register.knows(&key, id(1)));
        assert!(!register.knows(&PublicKey([2; 32]), id(1)));
        assert!(!register.reaches_back_to(Instant::from_micros(7)));
        assert!(register.reaches_back_to(Instant::from_micros(8)));
    }
}
