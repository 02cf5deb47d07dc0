//! The agent of `udpctl exec --local`: a child of udpctl on a loopback port, with keys that are not stored.
//!
//! It serves until its standard input ends, which udpctl holds open, and then ends everything that it runs.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};

use super::super::local_agent::{FAILED, LABEL, RELEASE, Served};
use super::super::output::print;
use crate::agent::config::Switch;
use crate::agent::daemon::{self, Agent, Plain, Trust};
use crate::agent::{CgroupLimits, CgroupParent, jobs};
use crate::crypto::{PublicKey, SecretKey};
use crate::message::status::{INTERNAL, SUCCESS};

/// Serves the controller whose key is the last argument, and returns the exit status.
pub fn main(args: &[OsString]) -> u8 {
    let (agent, answer) = match start(args) {
        Ok((agent, served)) => (Some(agent), served.to_string()),
        Err(error) => (None, format!("{FAILED}{error:#}")),
    };
    let told = print(&format!("{RELEASE}\n{answer}\n"));
    let Some(agent) = agent else {
        return INTERNAL;
    };
    if told.is_ok() {
        // An error ends it like the end of the file.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    }
    agent.stop();
    SUCCESS
}

fn start(args: &[OsString]) -> Result<(Agent, Served)> {
    let controller = args.last().and_then(|key| key.to_str());
    let controller: PublicKey = controller
        .and_then(|key| key.parse().ok())
        .context("no key of a controller")?;
    let agent = daemon::start(daemon::Config {
        identity: SecretKey::generate(&mut crate::net::rng()?),
        name: LABEL.into(),
        binds: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        trust: Trust::Keys(vec![controller]),
        exec: Switch::On,
        jobs: jobs::Config::default(),
        sessions_per_key: crate::session::limits::SESSIONS_PER_KEY,
        plain: Plain::Off,
        bot: None,
        replay_log: None,
        history: daemon::History::default(),
        resources: Vec::new(),
        cgroup_limits: CgroupLimits::default(),
        cgroup_parent: CgroupParent::Off,
        audit: None,
        log: None,
        recorder: None,
        guard: None,
    })?;
    let address = *agent.addresses().first().context("no address is bound")?;
    let served = Served {
        key: agent.key(),
        address,
    };
    Ok((agent, served))
}
