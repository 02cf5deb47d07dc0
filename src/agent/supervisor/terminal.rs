//! The agent's terminal while the front has a prompt on it: its mode, and Ctrl-C.
//!
//! Not what is typed, which the front reads. Invariants: the mode from before a front is in force again when that front is
//! gone, whatever has ended it; a second Ctrl-C does not depend on the front.

use rustix::stdio::stdin;
use rustix::termios::{Termios, tcgetattr};

use super::Supervisor;
use super::typed_lines::TypedLines;
use crate::agent::ipc::ToFront;
use crate::agent::switch::Switch;
use crate::saved_mode;

/// State of the terminal.
#[derive(Default)]
pub(super) struct Terminal {
    /// Mode from before the present front.
    before: Option<Termios>,
    /// True while the front has a prompt.
    has_prompt: bool,
    /// True if the user has left the prompt and the agent goes on.
    is_left: bool,
    /// True if the user was asked because of Ctrl-C, and has not answered.
    is_asked: bool,
    /// Lines typed at the prompt.
    pub(super) typed: TypedLines,
}

impl Terminal {
    /// Returns on if a front may open a prompt.
    pub(super) fn prompt(&self) -> Switch {
        Switch::from(!self.is_left)
    }

    /// Keeps the mode before a front is started.
    pub(super) fn keep_mode(&mut self) {
        self.before = tcgetattr(stdin()).ok();
    }

    /// Notes that the front has a prompt, or that its user has left it.
    pub(super) fn on_prompt(&mut self, prompt: Switch) {
        self.is_asked = false;
        self.has_prompt = prompt == Switch::On;
        self.is_left = prompt == Switch::Off;
        saved_mode::set(self.before.clone().filter(|_| self.has_prompt));
    }

    /// Notes that the user was asked, and that the agent goes on.
    pub(super) const fn on_stays(&mut self) {
        self.is_asked = false;
    }

    /// Restores the mode after the end of a front.
    pub(super) fn restore(&mut self) {
        if std::mem::take(&mut self.has_prompt) {
            saved_mode::restore();
            saved_mode::set(None);
        }
        self.is_asked = false;
    }
}

impl Supervisor {
    /// Lets the front ask the user about running commands because of Ctrl-C. Returns false if there is nothing to ask, or
    /// nobody who could be asked, or the user was asked before: the agent must end.
    pub(super) fn asks_at_prompt(&mut self) -> bool {
        let is_running = self.table.iter().any(|(_, job)| !job.is_settled());
        if !is_running || !self.terminal.has_prompt || self.front.is_none() {
            return false;
        }
        if std::mem::replace(&mut self.terminal.is_asked, true) {
            return false;
        }
        self.send(&ToFront::Interrupted);
        true
    }
}
