//! `udpctl completions`: prints the completions of `udpctl` for a shell.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use super::Ctl;
use crate::cli::completions;

const EXAMPLES: &str = "\
Examples:
  udpctl completions bash >~/.local/share/bash-completion/completions/udpctl
  udpctl completions fish >~/.config/fish/completions/udpctl.fish";

/// `udpctl completions`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Shell to print completions for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the completions.
pub fn run(args: &CompletionsArgs) -> Result<u8> {
    completions::print::<Ctl>("udpctl", args.shell)
}
