//! `udpagent key`: prints this agent's public key.

use anyhow::Result;
use clap::Args;

use super::files::Files;
use crate::cli::output::print;

const EXAMPLES: &str = "\
Examples:
  udpagent key
  udpctl trust web3 \"$(ssh web3 udpagent key)\"";

/// `udpagent key`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct KeyArgs {}

/// Prints the key, creating it if there is none yet.
pub fn run(_: &KeyArgs) -> Result<u8> {
    print(&format!("{}\n", Files::locate()?.key()?))?;
    Ok(0)
}
