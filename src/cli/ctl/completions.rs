//! `udpctl completions`: prints the completion function of `udpctl` for a shell.
//!
//! Not the candidates, except in a command line of ssh, which clap does not parse. Invariant: the function is the same
//! wherever the program is.

use super::{candidates, ssh};
use crate::cli::completions::{self, Answer, Program, Shell};
use anyhow::Result;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions ~/.config/fish/completions
  udpctl completions bash >~/.local/share/bash-completion/completions/udpctl
  udpctl completions zsh >/usr/local/share/zsh/site-functions/_udpctl
  udpctl completions fish >~/.config/fish/completions/udpctl.fish";

/// The program.
pub const UDPCTL: Program = Program {
    name: "udpctl",
    aliases: " udpctl-ssh",
    variable: "UDPCTL_COMPLETE",
    special: of_ssh,
};

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
    completions::print(&UDPCTL, args.shell)
}

/// Returns the candidates in a command line of ssh.
fn of_ssh(words: &[String], current: &str) -> Option<Answer> {
    let line = ssh::words(words.iter().map(Into::into));
    if line.get(1).is_none_or(|subcommand| subcommand != "ssh") {
        return None;
    }
    Some(match ssh::next(&line[2..]) {
        ssh::Next::Value(b'l') => Answer::Words(candidates::user(current.as_ref())),
        ssh::Next::Value(b'i' | b'F' | b'E' | b'S') | ssh::Next::Command => Answer::Files,
        ssh::Next::Destination if !current.starts_with('-') => {
            let (user, host) = candidates::user_and_host(current);
            Answer::Words(candidates::host_behind(user, host))
        }
        ssh::Next::Value(_) | ssh::Next::Destination => Answer::Words(Vec::new()),
    })
}
