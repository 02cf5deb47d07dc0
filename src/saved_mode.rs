//! Mode of the user's terminal from before this program has changed it.
//!
//! Not the change itself. Invariant: a program in the background leaves the terminal to the one in the foreground.

use std::sync::{Mutex, PoisonError};

use nix::unistd::{getpgrp, tcgetpgrp};
use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, tcsetattr};

/// Mode from before, while another one is in force.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Saves the mode of the user's terminal for [`restore`]. `None` if it is in force again.
pub fn set(before: Option<Termios>) {
    *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = before;
}

/// Returns true if a mode is saved.
#[must_use]
pub fn is_set() -> bool {
    SAVED.try_lock().is_ok_and(|saved| saved.is_some())
}

/// Restores the user's terminal, also in a program that is about to exit by a failure. Returns false if there was nothing
/// to restore.
pub fn restore() -> bool {
    // The thread that failed may hold the lock.
    let Ok(before) = SAVED.try_lock() else {
        return false;
    };
    if is_in_background() {
        return false;
    }
    let restored = |before| tcsetattr(stdio::stdin(), OptionalActions::Now, before).is_ok();
    before.as_ref().is_some_and(restored)
}

/// Returns true if standard input is the terminal of this program's session and another process group has it. A change of
/// its mode would stop this program (SIGTTOU).
#[must_use]
pub fn is_in_background() -> bool {
    tcgetpgrp(stdio::stdin()).is_ok_and(|foreground| foreground != getpgrp())
}
