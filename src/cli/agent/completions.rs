//! `udpagent completions`: prints the completion function of `udpagent` for a shell.
//!
//! Not the candidates. Invariant: the function is the same wherever the program is.

use super::candidates::UDPAGENT;
use crate::cli::completions::{self, Shell};
use anyhow::Result;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions ~/.config/fish/completions
  udpagent completions bash >~/.local/share/bash-completion/completions/udpagent
  udpagent completions zsh >/usr/local/share/zsh/site-functions/_udpagent
  udpagent completions fish >~/.config/fish/completions/udpagent.fish";

/// `udpagent completions`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Shell to print completions for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the completions.
pub fn run(args: &CompletionsArgs) -> Result<u8> {
    completions::print(&UDPAGENT, args.shell)
}
