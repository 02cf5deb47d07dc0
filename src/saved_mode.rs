//! The user's terminal, and its mode from before this program has changed it.
//!
//! Not the change itself. Invariant: a program in the background leaves the terminal to the one in the foreground.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getpgrp, tcgetpgrp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, tcsetattr};

/// First descriptor behind the standard streams.
const FIRST: i32 = 3;

/// The user's terminal, once standard input is another one.
static TERMINAL: OnceLock<OwnedFd> = OnceLock::new();

/// Mode from before, while another one is in force.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Returns the user's terminal.
#[must_use]
pub fn terminal() -> BorrowedFd<'static> {
    TERMINAL
        .get()
        .map_or_else(stdio::stdin, |kept| kept.as_fd())
}

/// Keeps the user's terminal under another descriptor, and puts `input` in its place as standard input.
///
/// # Errors
/// The system has no descriptor left.
pub fn replace_input(input: &OwnedFd) -> io::Result<()> {
    if TERMINAL.get().is_none() {
        let kept = fcntl_dupfd_cloexec(stdio::stdin(), FIRST)?;
        let _ = TERMINAL.set(kept);
    }
    Ok(stdio::dup2_stdin(input)?)
}

/// Lets this thread, and those that it creates, go on in the background. A write to a terminal with the mode `tostop` then has
/// its effect, and a read fails, instead of stopping the program (SIGTTOU, SIGTTIN).
pub fn go_on_in_background() {
    let stops: SigSet = [Signal::SIGTTIN, Signal::SIGTTOU].into_iter().collect();
    // It cannot fail with these signals.
    let _ = stops.thread_block();
}

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
    let restored = |before| tcsetattr(terminal(), OptionalActions::Now, before).is_ok();
    before.as_ref().is_some_and(restored)
}

/// Returns true if the user's terminal has input for this program that is not read. A terminal that is gone has none.
#[must_use]
pub fn has_input() -> bool {
    let mut ready = [PollFd::from_borrowed_fd(terminal(), PollFlags::IN)];
    let polled = poll(&mut ready, Some(&Timespec::default()));
    let events = ready[0].revents();
    let is_ready = events.contains(PollFlags::IN) && !events.contains(PollFlags::HUP);
    polled.is_ok() && is_ready && !is_in_background()
}

/// Returns true if the user's terminal is that of this program's session and another process group has it. A change of its
/// mode or a read would stop this program (SIGTTOU, SIGTTIN), or take from that group what is its own.
#[must_use]
pub fn is_in_background() -> bool {
    tcgetpgrp(terminal()).is_ok_and(|foreground| foreground != getpgrp())
}
