//! `udpctl id`: prints this controller's public key.

use anyhow::Result;
use clap::Args;

use super::context::{Context, print};

const EXAMPLES: &str = "\
Examples:
  udpctl id
  echo \"$(udpctl id) laptop\" | ssh web3 'cat >>~/.config/udpagent/authorized_keys'";

/// `udpctl id`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct IdArgs {}

/// Prints the key, creating it if there is none yet.
pub fn run(_: &IdArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let identity = context.identity()?;
    print(&format!("{}\n", identity.public()))?;
    Ok(0)
}
