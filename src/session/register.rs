//! INITs that were answered once and never will be again.
//!
//! Prints of the last [`limits::INIT_REGISTER`] INITs; the oldest makes room, unless it is so young that
//! its early data could still be taken: then the register is full for early data. Prints of an
//! earlier run of the agent may be put in at the start.

use std::collections::{HashSet, VecDeque};

use super::limits;
use crate::time::Instant;

pub(super) struct InitRegister {
    order: VecDeque<(Instant, u64)>,
    prints: HashSet<u64>,
}

impl InitRegister {
    pub(super) fn new(now: Instant, seen: &[u64]) -> Self {
        let mut this = Self {
            order: VecDeque::new(),
            prints: HashSet::new(),
        };
        for &print in seen {
            this.insert(now - limits::INIT_REGISTER_AGE, print);
        }
        this
    }

    pub(super) fn contains(&self, print: u64) -> bool {
        self.prints.contains(&print)
    }

    /// Whether one more can be remembered without forgetting one that may still be dangerous.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.order.len() < limits::INIT_REGISTER
            || self
                .order
                .front()
                .is_none_or(|&(at, _)| now.since(at) >= limits::INIT_REGISTER_AGE)
    }

    pub(super) fn insert(&mut self, now: Instant, print: u64) {
        if self.prints.insert(print) {
            self.order.push_back((now, print));
        }
        if self.order.len() > limits::INIT_REGISTER
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.prints.remove(&oldest);
        }
    }
}
