//! Descendants whose parents died become ours: adopted, and reaped when they end.
//!
//! Not the leaders' reaping: each belongs to its `Process`. Invariant: neither a leader's status nor that
//! of a child somebody else in this program started (`std::process`) is ever taken away from them.

use std::io;

/// Makes this process the parent of every orphan below it, so that none escapes to init. Call once at start.
///
/// # Errors
/// As `prctl(2)`.
pub fn become_subreaper() -> io::Result<()> {
    todo!()
}

/// Reaps the orphans that have ended; returns how many. Call on SIGCHLD, or now and then.
///
/// Those are our zombie children that lead no live job and are in another session than this program. It
/// does nothing while a [`spawn`](super::spawn) is under way: call again later.
pub fn reap_orphans() -> usize {
    todo!()
}
