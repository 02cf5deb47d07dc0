//! A leader and its descendants: the group, the session, the children of children, and those that left.
//!
//! Not who ends them (`ending`). Invariant: no signal is sent to a process that was not verified, after a
//! handle on it was opened, to be the one that was meant.

use super::Pid;

/// Names a tree of processes. Cheap to clone; holds no descriptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    leader: Pid,
    /// Clock ticks from boot to its start: with the process id, its identity.
    started: u64,
    marker: String,
}

impl Tree {
    /// The first process of it.
    #[must_use]
    pub fn leader(&self) -> Pid {
        self.leader
    }
}
