//! Arguments of `udpctl exec` for the subcommands that run a command by it, and their choices for which it has no option.

use std::ffi::OsString;

use anyhow::Result;
use clap::Parser;

use super::ExecArgs;
use crate::cli::ctl::background::Background;
use crate::cli::ctl::family::Family;
use crate::control::console::Escape;
use crate::control::exec::ATTACH;
use crate::net::Target;

/// Choices of the caller; by default those of `udpctl exec`.
#[derive(Debug)]
pub struct Caller {
    /// True if nothing is written to standard error about the outcome.
    pub is_quiet: bool,
    /// Family of the addresses to contact.
    pub family: Family,
    /// This process, if it goes to the background once the agent has accepted the command.
    pub background: Option<Background>,
    /// Character that begins an escape sequence on a terminal.
    pub escape: Escape,
    /// Command line that comes back to a command on a terminal.
    pub way_back: &'static str,
    /// Signals that cancel the command as SIGTERM does, without words, as a program sends them that needs the result no more.
    pub dismissal: &'static [i32],
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            is_quiet: false,
            family: Family::default(),
            background: None,
            escape: Escape::default(),
            way_back: ATTACH,
            dismissal: &[],
        }
    }
}

/// A command line of `udpctl exec`.
#[derive(Parser)]
struct ExecLine {
    #[command(flatten)]
    exec: ExecArgs,
}

/// Returns the arguments of `udpctl exec TARGET -- ARGV`.
pub fn exec_args(target: &Target, argv: Vec<OsString>) -> Result<ExecArgs> {
    // The words are parsed, so that all other options have their defaults; argv is no place for them.
    let line = ExecLine::try_parse_from(["exec", target.label(), "--", "sh"])?;
    Ok(ExecArgs { argv, ..line.exec })
}

impl Caller {
    /// Returns what to do when the agent has accepted the command.
    pub fn on_accepted(&self) -> Option<Box<dyn FnOnce() + '_>> {
        let background = self.background.as_ref()?;
        Some(Box::new(|| background.detach()))
    }
}
