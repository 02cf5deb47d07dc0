//! Mode of the terminal while lines are edited, in force again after another program has had the terminal.
//!
//! Not the mode from before the prompt. Invariant: a program in the background leaves the terminal to the one in the
//! foreground.

use std::io;

use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::activity::Activity;
use crate::saved_mode;

/// Mode of the terminal of a prompt.
pub struct EditingMode {
    mode: Termios,
    activity: Activity,
    /// True if another program may have changed the mode and what the terminal shows.
    is_lost: bool,
}

impl EditingMode {
    /// Keeps the mode that is in force.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn of_terminal(activity: Activity) -> io::Result<Self> {
        Ok(Self {
            mode: tcgetattr(stdin())?,
            activity,
            is_lost: false,
        })
    }

    /// Notes SIGCONT.
    pub const fn on_continued(&mut self) {
        self.is_lost = true;
    }

    /// Returns true if the mode is to be restored once this program is in the foreground.
    pub const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Restores the mode after SIGCONT, once this program is in the foreground. Returns true if the prompt is to be drawn
    /// again.
    pub fn restore(&mut self) -> bool {
        if !self.is_lost || saved_mode::is_in_background() {
            return false;
        }
        self.is_lost = false;
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.mode);
        self.activity.wake();
        self.activity.is_editing()
    }
}
