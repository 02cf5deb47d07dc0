//! `udpctl trust`: pins an agent's public key, without a network.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use anyhow::Result;
use clap::Args;

use super::context::{Context, print};
use crate::control::known_agents::{self, Added, OnChange};
use crate::crypto::PublicKey;
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl trust web1 ua1:h2hc8zFe3tsYJSoDRZ4TkPb2kZBq0pUGy4GYtQ7rNSw
  udpctl trust --replace web1 \"$(ssh web1 udpagent key)\"";

/// `udpctl trust`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TrustArgs {
    /// Agent: HOST, HOST:PORT or [IPv6]:PORT; the default port is 7000
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// Public key of the agent, as "udpagent key" prints it there
    #[arg(value_name = "KEY")]
    pub key: PublicKey,
    /// Replace the key that is known for this agent
    #[arg(long)]
    pub replace: bool,
}

/// Enters the key in known_agents.
pub fn run(args: &TrustArgs) -> Result<u8> {
    let context = Context::new()?;
    let target = context.target(&args.target)?;
    let added = known_agents::add(
        &context.home.known_agents(),
        &target,
        &args.key,
        on_change(args.replace),
    )?;
    print(&match added {
        Added::New => format!("{target} is trusted now\n"),
        Added::Already => format!("{target} was trusted already\n"),
        Added::Replaced => format!("{target} has a new key now\n"),
    })?;
    Ok(0)
}

/// Returns the meaning of `--replace`.
pub const fn on_change(replace: bool) -> OnChange {
    if replace {
        OnChange::Replace
    } else {
        OnChange::Refuse
    }
}
