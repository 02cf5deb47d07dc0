//! Log lines on a terminal on which the front has a prompt.
//!
//! Not the prompt, which another process draws. Invariant: without a prompt, a line is written as it is.

use std::io;

use nix::unistd::{getpgrp, tcgetpgrp};
use rustix::process::{Signal, kill_current_process_group};
use rustix::stdio::stderr;
use rustix::termios::{LocalModes, tcgetattr};

use crate::agent::audit::write_stderr;

/// Returns to the beginning of the row and clears it and the rows below.
const CLEAR: &str = "\r\x1b[J";

/// Writes a line to standard error. At a prompt it takes the row of the cursor, and the front draws
/// the prompt again below.
///
/// # Errors
/// Those of `write(2)` and `kill(2)`.
pub(super) fn write(line: &str) -> io::Result<()> {
    if !is_at_prompt() {
        return write_stderr(line.as_bytes());
    }
    write_stderr(format!("{CLEAR}{line}").as_bytes())?;
    // SIGURG does nothing to the other processes of the agent.
    Ok(kill_current_process_group(Signal::URG)?)
}

/// Returns true if standard error is the terminal of the agent's prompt: only a line editor reads single characters, and one
/// of another program is in the foreground instead of the agent.
fn is_at_prompt() -> bool {
    let is_edited = |mode: rustix::termios::Termios| !mode.local_modes.contains(LocalModes::ICANON);
    tcgetattr(stderr()).is_ok_and(is_edited)
        && tcgetpgrp(stderr()).is_ok_and(|foreground| foreground == getpgrp())
}
