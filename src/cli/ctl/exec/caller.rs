//! Choices of `udpctl ssh` for which `udpctl exec` has no option.

use crate::cli::ctl::background::Background;
use crate::cli::ctl::family::Family;

/// Choices of the caller; by default those of `udpctl exec`.
#[derive(Default, Debug)]
pub struct Caller {
    /// True if nothing is written to standard error about the outcome.
    pub is_quiet: bool,
    /// Family of the addresses to contact.
    pub family: Family,
    /// This process, if it goes to the background once the agent has accepted the command.
    pub background: Option<Background>,
}

impl Caller {
    /// Returns what to do when the agent has accepted the command.
    pub fn on_accepted(&self) -> Option<Box<dyn FnOnce() + '_>> {
        let background = self.background.as_ref()?;
        Some(Box::new(|| background.detach()))
    }
}
