//! Mode of the terminal while there is a prompt, in force again after another program has had the terminal.
//!
//! Not the mode of the pseudo-terminal that the line editor reads. Invariant: a program in the background leaves the terminal
//! to the one in the foreground.

use std::io;

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr,
    tcsetattr,
};

use super::activity::Activity;
use super::typed_ahead::KEY_OFF;
use crate::saved_mode::{self, terminal};

/// Effect of the key that suspends a program, usually Ctrl-Z.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuspendKey {
    /// It sends SIGTSTP.
    Signal,
    /// It is a key without a meaning.
    Nothing,
}

/// Mode of the terminal of a prompt.
pub struct EditingMode {
    activity: Activity,
    suspend: SuspendKey,
    /// Mode from before, and mode of the prompt; `None` until this program has been in the foreground.
    modes: Option<(Termios, Termios)>,
}

impl EditingMode {
    /// Takes the terminal, or in the background prepares for that.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn new(activity: Activity, suspend: SuspendKey) -> io::Result<Self> {
        let mut mode = Self {
            activity,
            suspend,
            modes: None,
        };
        tcgetattr(terminal())?;
        mode.on_continued();
        mode.restore();
        Ok(mode)
    }

    /// Notes SIGCONT.
    pub fn on_continued(&self) {
        self.activity.set_lost(true);
    }

    /// Returns true if the mode is to be set once this program is in the foreground.
    pub fn is_lost(&self) -> bool {
        self.activity.is_lost()
    }

    /// Sets the mode at the beginning and after SIGCONT, once this program is in the foreground. Returns true if the prompt is
    /// to be drawn again.
    pub fn restore(&mut self) -> bool {
        if !self.is_lost() || saved_mode::is_in_background() {
            return false;
        }
        if self.modes.is_none()
            && let Ok(before) = tcgetattr(terminal())
        {
            let mode = editing_mode(before.clone(), self.suspend);
            saved_mode::set(Some(before.clone()));
            self.modes = Some((before, mode));
        }
        if let Some((_, mode)) = &self.modes {
            let _ = tcsetattr(terminal(), OptionalActions::Now, mode);
        }
        self.activity.set_lost(false);
        self.activity.wake();
        self.activity.is_editing()
    }

    /// Sets the mode from before, unless another program has the terminal.
    pub fn set_before(&self, actions: OptionalActions) {
        if let Some((before, _)) = &self.modes
            && !saved_mode::is_in_background()
        {
            let _ = tcsetattr(terminal(), actions, before);
        }
    }
}

/// Returns the mode of a terminal whose input passes to a line editor, as long as there is a prompt and not only while a line
/// is edited: input that is typed ahead waits in the terminal unchanged, without a limit on its length, and is echoed when it
/// is read. Keys of signals send them, so that they work while no line is read; those that stop and continue the output do so
/// if they did before.
fn editing_mode(mut mode: Termios, suspend: SuspendKey) -> Termios {
    mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
    mode.local_modes |= LocalModes::ISIG;
    mode.input_modes -= InputModes::BRKINT
        | InputModes::ICRNL
        | InputModes::INLCR
        | InputModes::IGNCR
        | InputModes::INPCK
        | InputModes::ISTRIP;
    mode.control_modes |= ControlModes::CS8;
    if suspend == SuspendKey::Nothing {
        mode.special_codes[SpecialCodeIndex::VSUSP] = KEY_OFF;
    }
    // Not 0: for a shell that has the terminal in this mode, after a stop from outside, that would be the end of its input.
    mode.special_codes[SpecialCodeIndex::VMIN] = 1;
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    mode
}
