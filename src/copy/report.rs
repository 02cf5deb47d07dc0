//! Reports of a copy to a person: items that were not copied.

use super::fault::Fault;

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

/// Appends a name to a path for a person.
pub fn join(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}
