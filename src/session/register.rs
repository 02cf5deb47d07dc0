//! INITs that were answered once and never will be again.
//!
//! Prints of the last [`limits::INIT_REGISTER`] INITs; the oldest makes room, unless it is so young that
//! its early data could still be taken: then the register is full for early data. Prints of an
//! earlier run of the agent may be put in at the start.
//!
//! A controller that had no answer makes another INIT with the same early data. Both may arrive, and only
//! one of the two sessions is used, so the early data is remembered too, and taken once.

use std::collections::{HashSet, VecDeque};

use super::limits;
use crate::time::Instant;

pub(super) struct InitRegister {
    order: VecDeque<Entry>,
    prints: HashSet<u64>,
    early: HashSet<u64>,
}

struct Entry {
    at: Instant,
    print: u64,
    early: Option<u64>,
}

impl InitRegister {
    pub(super) fn new(now: Instant, seen: &[u64]) -> Self {
        let mut this = Self {
            order: VecDeque::new(),
            prints: HashSet::new(),
            early: HashSet::new(),
        };
        for &print in seen {
            this.insert(now - limits::INIT_REGISTER_AGE, print, None);
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
                .is_none_or(|first| now.since(first.at) >= limits::INIT_REGISTER_AGE)
    }

    /// Whether this early data was taken, from another INIT.
    pub(super) fn has_taken(&self, early: u64) -> bool {
        self.early.contains(&early)
    }

    /// Remembers an INIT, and the print of its early data if that is taken.
    pub(super) fn insert(&mut self, at: Instant, print: u64, early: Option<u64>) {
        if self.prints.insert(print) {
            self.early.extend(early);
            self.order.push_back(Entry { at, print, early });
        }
        if self.order.len() > limits::INIT_REGISTER
            && let Some(oldest) = self.order.pop_front()
        {
            self.prints.remove(&oldest.print);
            if let Some(early) = oldest.early {
                self.early.remove(&early);
            }
        }
    }
}
