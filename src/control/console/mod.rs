//! The user's terminal while a remote command uses it: raw mode, window size, and restoration.
//!
//! Not the transport of the bytes, which pass as any other input and output. Invariant: whatever ends the program except
//! SIGKILL, or stops it except SIGSTOP, the terminal has the mode that it had before.

mod job_control;
mod keys;
#[cfg(feature = "cli")]
mod modes;
#[cfg(not(feature = "cli"))]
mod no_modes;

pub use job_control::can_be_resumed;
pub use keys::{Escape, Key, Keys, ParseEscapeError};

use std::io;

use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::message::Window;
use crate::saved_mode;
#[cfg(feature = "cli")]
use modes::Modes;
#[cfg(not(feature = "cli"))]
use no_modes::Modes;

/// Returns the end of a line that is written to standard error: with a carriage return if that is a terminal in raw mode.
#[must_use]
pub fn line_end() -> &'static str {
    if saved_mode::is_set() && isatty(stdio::stderr()) {
        "\r\n"
    } else {
        "\n"
    }
}

/// Control sequence that leaves the alternate screen: DECRST 1049 of xterm.
pub const LEAVE_SCREEN: &[u8] = b"\x1b[?1049l";

/// Window size of a terminal that reports none.
const DEFAULT_WINDOW: Window = Window {
    rows: 24,
    columns: 80,
};

/// Returns true if stdin and stdout are terminals.
#[must_use]
pub fn is_interactive() -> bool {
    isatty(stdio::stdin()) && isatty(stdio::stdout())
}

/// Returns the window size of the user's terminal.
#[must_use]
pub fn window() -> Window {
    let size = tcgetwinsize(stdio::stdout())
        .or_else(|_| tcgetwinsize(stdio::stdin()))
        .or_else(|_| tcgetwinsize(stdio::stderr()));
    match size {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => Window {
            rows: size.ws_row,
            columns: size.ws_col,
        },
        Ok(_) | Err(_) => DEFAULT_WINDOW,
    }
}

/// The user's terminal in raw mode.
pub struct Console {
    before: Termios,
    /// Parser of the user's input.
    pub keys: Keys,
    modes: Modes,
}

impl Console {
    /// Puts the terminal into raw mode, with this escape character.
    ///
    /// # Errors
    /// If stdin is no terminal.
    pub fn enter_raw(escape: Escape) -> io::Result<Self> {
        let console = Self {
            before: tcgetattr(stdio::stdin())?,
            keys: Keys::new(escape),
            modes: Modes::default(),
        };
        console.set_raw()?;
        Ok(console)
    }

    fn set_raw(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        saved_mode::set(Some(self.before.clone()));
        Ok(tcsetattr(stdio::stdin(), OptionalActions::Now, &raw)?)
    }

    /// Puts the terminal into raw mode again after [`suspend`](Self::suspend), or after another program has used it.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn resume(&self) -> io::Result<()> {
        self.set_raw()
    }

    /// Restores the mode until [`resume`](Self::resume). Returns the control sequences that reset the modes which the
    /// command has set.
    #[must_use]
    pub fn suspend(&mut self) -> Vec<u8> {
        self.set_before();
        let undo = self.modes.reset();
        self.modes.on_output(&undo);
        undo
    }

    fn set_before(&self) {
        // Fails only if the terminal is gone.
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, &self.before);
        saved_mode::set(None);
    }

    /// Tracks output of the command.
    pub fn on_output(&mut self, bytes: &[u8]) {
        self.modes.on_output(bytes);
    }

    /// Restores the mode. Returns the control sequences that reset the modes which the command has left set.
    #[must_use]
    pub fn restore(self) -> Vec<u8> {
        self.modes.reset()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.set_before();
    }
}
