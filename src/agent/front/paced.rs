//! The rate of what the agent's user says: that of a key.
//!
//! Not the lines themselves, which wait in their order where they are. Invariant: a member that reads at that rate misses
//! none of them, however many are pasted or come from a pipe.

use super::thread::Thread;
use crate::prompt::command::{Command, Typed};
use crate::time::Instant;

/// Treatment of the rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rate {
    /// A line that comes too early waits.
    Kept,
    /// No line waits, as the agent or this front ends.
    Waived,
}

impl Thread {
    /// Returns true if the input may be carried out now. Otherwise the loop wakes up when it may.
    pub(super) fn may_say(&mut self, now: Instant, typed: &Typed, rate: Rate) -> bool {
        let (Typed::Line(text) | Typed::Command(Command::Me(text) | Command::Msg { text, .. })) =
            typed
        else {
            return true;
        };
        self.says_again = self.service.chat().0.pace_user(now, text.len()).err();
        rate == Rate::Waived || self.says_again.is_none()
    }
}
