//! `udpctl id` and `udpctl trust`: keys, without a network.

use anyhow::Result;

use super::args::TrustArgs;
use super::context::{Controller, print};
use crate::control::known_agents::{self, Added, OnChange};

/// Prints the public key.
pub fn id() -> Result<u8> {
    let mut controller = Controller::new()?;
    let identity = controller.identity()?;
    print(&format!("{}\n", identity.public()))?;
    Ok(0)
}

/// Enters a key.
pub fn trust(args: &TrustArgs) -> Result<u8> {
    let controller = Controller::new()?;
    let added = known_agents::add(
        &controller.home.known_agents(),
        &args.target,
        &args.key,
        on_change(args.replace),
    )?;
    print(&match added {
        Added::New => format!("{} is trusted now\n", args.target),
        Added::Already => format!("{} was trusted already\n", args.target),
        Added::Replaced => format!("{} has a new key now\n", args.target),
    })?;
    Ok(0)
}

/// What `--replace` means.
pub const fn on_change(replace: bool) -> OnChange {
    if replace {
        OnChange::Replace
    } else {
        OnChange::Refuse
    }
}
