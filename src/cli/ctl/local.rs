//! `--local`: an agent inside this process, on a loopback port, with keys that are not stored.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};

use super::context::open_client;
use crate::agent::config::Switch;
use crate::agent::daemon::{self, Agent, Plain, Trust};
use crate::agent::{CgroupLimits, CgroupParent, jobs};
use crate::control::client::Client;
use crate::control::host_resolver::Host;
use crate::crypto::SecretKey;
use crate::rng::Rng;

/// Name of the agent in everything that is printed.
pub const LABEL: &str = "local";

/// An agent in this process and a session to it.
pub struct Local {
    agent: Agent,
    /// The controller's network.
    pub client: Client,
    /// The agent, as a host to connect to.
    pub host: Host,
}

impl Local {
    /// Starts the agent and opens the network.
    pub fn start(rng: &mut Rng) -> Result<Self> {
        let controller = SecretKey::generate(rng);
        let agent = daemon::start(daemon::Config {
            identity: SecretKey::generate(rng),
            name: LABEL.into(),
            binds: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            trust: Trust::Keys(vec![controller.public()]),
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
        })
        .context("cannot start an agent in this process")?;
        let client = open_client(controller)?;
        let host = Host {
            label: LABEL.into(),
            agent: agent.key(),
            paths: client.paths(agent.addresses())?,
            ticket: None,
        };
        Ok(Self {
            agent,
            client,
            host,
        })
    }

    /// Ends the agent and everything that it runs.
    pub fn stop(self) {
        self.client.close();
        self.agent.stop();
    }
}
