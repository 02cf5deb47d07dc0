//! `udpagent completions`: prints the completions of `udpagent` for a shell.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use super::AgentLine;
use crate::cli::completions;

const EXAMPLES: &str = "\
Examples:
  udpagent completions bash >~/.local/share/bash-completion/completions/udpagent
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
    completions::print::<AgentLine>("udpagent", args.shell)
}
