//! The user's terminal while it is that of a command elsewhere: raw, with its size told, and put right again.
//!
//! Not the bytes' way: they pass as any other input and output. Invariant: whatever ends the program short of
//! a SIGKILL, the terminal is as it was before.

mod keys;
#[cfg(feature = "cli")]
mod traces;
#[cfg(not(feature = "cli"))]
#[path = "no_traces.rs"]
mod traces;

pub use keys::{Key, Keys};

use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::message::Window;
use traces::Traces;

/// Settings of the user's terminal before it was made raw, while it is.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Keeps the settings of the user's terminal for [`restore`]; `None`: they are in force again.
pub fn remember(before: Option<Termios>) {
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = before;
}

/// Puts the user's terminal right in a program that is about to exit by a failure. False if there was
/// nothing to put right.
pub fn restore() -> bool {
    // Whoever holds the lock may be what failed.
    let Ok(before) = BEFORE.try_lock() else {
        return false;
    };
    let restored = |before| tcsetattr(stdio::stdin(), OptionalActions::Now, before).is_ok();
    before.as_ref().is_some_and(restored)
}

/// What a terminal without a size is taken for.
const USUAL: Window = Window {
    rows: 24,
    columns: 80,
};

/// Whether a person sits at stdin, and sees stdout.
#[must_use]
pub fn is_there() -> bool {
    isatty(stdio::stdin()) && isatty(stdio::stdout())
}

/// The size of the window that the user looks at.
#[must_use]
pub fn window() -> Window {
    let size = tcgetwinsize(stdio::stdout()).or_else(|_| tcgetwinsize(stdio::stdin()));
    match size {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => Window {
            rows: size.ws_row,
            columns: size.ws_col,
        },
        _ => USUAL,
    }
}

/// The user's terminal, given to a command.
pub struct Console {
    before: Termios,
    /// What the user types.
    pub keys: Keys,
    traces: Traces,
}

impl Console {
    /// Takes it: from now on every key is the command's.
    ///
    /// # Errors
    /// When stdin is no terminal.
    pub fn take() -> io::Result<Self> {
        let before = tcgetattr(stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        remember(Some(before.clone()));
        tcsetattr(stdio::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self {
            before,
            keys: Keys::default(),
            traces: Traces::default(),
        })
    }

    /// The command has written this.
    pub fn on_output(&mut self, bytes: &[u8]) {
        self.traces.on_output(bytes);
    }

    /// Gives it back. Returns the bytes that undo what the command has done to it and left so.
    #[must_use]
    pub fn give_back(self) -> Vec<u8> {
        self.traces.undo()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // A terminal that is gone needs no setting.
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, &self.before);
        remember(None);
    }
}
