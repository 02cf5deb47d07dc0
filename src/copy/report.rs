//! Reports of a copy to a person: items that were not copied.
//!
//! Invariant: those of a copy are bounded, in their number and in the bytes of their paths; further ones are only counted.

use std::collections::VecDeque;

use super::fault::Fault;
use super::limits;

/// Item that was not copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its path on the side where the fault is; not escaped.
    pub path: Vec<u8>,
    /// The reason.
    pub fault: Fault,
    /// Side where the fault is.
    pub side: Side,
}

/// Side of a copy, as seen from the one that reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one that reports.
    Here,
    /// The other one.
    There,
}

/// Reports that one side of a copy may still make.
#[derive(Debug)]
pub struct Quota {
    items: u64,
    bytes: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            items: limits::REPORTS,
            bytes: limits::REPORTED_PATHS,
        }
    }
}

impl Quota {
    /// Takes room for a path. Returns false if there is none.
    pub fn take(&mut self, path: &[u8]) -> bool {
        let length = path.len().min(limits::PATH);
        let (Some(items), Some(bytes)) =
            (self.items.checked_sub(1), self.bytes.checked_sub(length))
        else {
            return false;
        };
        (self.items, self.bytes) = (items, bytes);
        true
    }
}

/// Reports that wait to be taken.
#[derive(Debug, Default)]
pub struct Reports {
    waiting: VecDeque<Report>,
    quota: Quota,
}

impl Reports {
    /// Adds a report, if there is room for it.
    pub fn add(&mut self, fault: Fault, path: &[u8], side: Side) {
        if self.quota.take(path) {
            let path = path[..path.len().min(limits::PATH)].to_vec();
            self.waiting.push_back(Report { path, fault, side });
        }
    }

    /// Takes the next one.
    pub fn next(&mut self) -> Option<Report> {
        self.waiting.pop_front()
    }
}

/// Appends a name to a path for a person.
pub fn join(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}
