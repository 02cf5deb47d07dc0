//! The end of a tree: TERM to every process of it, five seconds, then KILL until none is left.
//!
//! Not a thread and not a timer: the run loop calls it when [`Ending::poll_timeout`] says so, or sooner.
//! Invariant: the leader is unreaped as long as an `Ending` of its tree is at work.
//!
//! ```text
//!   start ──TERM──► asked ──GRACE or kill_now──► killing ──► Ended
//!                     └──── none left ───────────────┴─────►  or GaveUp, if some survive KILL
//! ```

use std::time::Duration;

use super::{Census, Tree};
use crate::time::Instant;

/// How long a process may take to end after TERM.
pub const GRACE: Duration = Duration::from_secs(5);

/// How far it got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Some process is left, and time.
    Pending,
    /// None is left but the leader's remains: reap it.
    Ended,
    /// These many survive KILL (they wait for a device, or became another user's). Reap the leader if it has ended.
    GaveUp {
        /// Processes left.
        left: usize,
    },
}

/// A tree being ended.
#[derive(Debug)]
pub struct Ending {
    tree: Tree,
    next: Option<Instant>,
}

impl Ending {
    /// Sends TERM (and CONT, for the stopped) to every process of the tree.
    #[must_use]
    pub fn start(now: Instant, tree: Tree, census: &mut Census) -> Self {
        let _ = (now, tree, census);
        todo!()
    }

    /// No more patience: KILL from now on.
    pub fn kill_now(&mut self, now: Instant, census: &mut Census) -> Progress {
        let _ = (now, census);
        todo!()
    }

    /// Looks who is left and goes on accordingly. Spurious calls are harmless; one when the leader's
    /// pidfd becomes readable makes it end sooner.
    pub fn on_timeout(&mut self, now: Instant, census: &mut Census) -> Progress {
        let _ = (now, census);
        todo!()
    }

    /// When to call [`Ending::on_timeout`] next; `None` when it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}
