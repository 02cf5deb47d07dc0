//! The commands of `udpagent` that read or write its files: `invite`, `key`.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::InviteArgs;
use super::serve::host_name;
use crate::agent::access::invite;
use crate::agent::config::{self, Config, Layer};
use crate::agent::run::unix_now;
use crate::crypto::{PublicKey, key_file};
use crate::home::{AgentHome, ControlHome, User, environment};
use crate::net::{self, Bind, DEFAULT_PORT, Host, Invite, Target};

/// Where this user's files are.
pub(super) struct Files {
    /// The agent's.
    pub agent: AgentHome,
    /// The controller's of the same user, if they have a place.
    pub control: Option<ControlHome>,
}

impl Files {
    /// Looks them up; nothing is created.
    pub(super) fn locate() -> Result<Self> {
        Ok(Self {
            agent: AgentHome::locate(&environment, User::current())?,
            control: ControlHome::locate(&environment).ok(),
        })
    }

    fn key(&self) -> Result<PublicKey> {
        let mut rng = net::rng().context("the system has no random numbers to give")?;
        let identity = key_file::load_or_create(&self.agent.identity(), &mut rng)?;
        Ok(identity.public())
    }
}

/// Reads the named configuration file, or the usual one if there is one.
pub(super) fn read_config(files: &Files, named: Option<&Path>) -> Result<Layer> {
    let usual = files.agent.config_file();
    let layer = config::load(named.unwrap_or(&usual))?;
    match (layer, named) {
        (Some(layer), _) => Ok(layer),
        (None, None) => Ok(Layer::default()),
        (None, Some(named)) => Err(config::ConfigError::Missing(named.to_owned()).into()),
    }
}

/// Prints the agent's key.
pub(super) fn key() -> Result<u8> {
    println!("{}", Files::locate()?.key()?);
    Ok(0)
}

/// Opens an invitation and prints the command that accepts it.
pub(super) fn invite(args: &InviteArgs) -> Result<u8> {
    let files = Files::locate()?;
    let config = Config::resolve([read_config(&files, args.config.as_deref())?]);
    let target = match &args.host {
        Some(text) => with_port(text, port(&config))?,
        None => Target::new(reachable(&config), port(&config)),
    };
    let agent = files.key()?;
    let mut rng = net::rng().context("the system has no random numbers to give")?;
    let token = invite::create(&files.agent, &args.options, &mut rng, unix_now())?;
    let invite = Invite {
        target,
        agent,
        token,
    };
    println!("{}", invite.command());
    Ok(0)
}

/// The port that others reach the agent at.
fn port(config: &Config) -> u16 {
    let ports = config.bind.iter().map(|bind| match bind {
        Bind::All(port) | Bind::At(_, port) => *port,
    });
    ports
        .into_iter()
        .find(|&port| port != 0)
        .unwrap_or(DEFAULT_PORT)
}

/// A host as typed; without a port the agent's, not the usual one.
fn with_port(text: &str, port: u16) -> Result<Target> {
    let target: Target = text.parse().with_context(|| format!("--host {text}"))?;
    let bind: Result<Bind, _> = text.parse();
    let typed = text.ends_with(&format!(":{}", target.port())) && bind.is_ok();
    let port = if typed { target.port() } else { port };
    Ok(Target::new(target.host().clone(), port))
}

/// The best guess at where the bearer of an invitation reaches this host.
fn reachable(config: &Config) -> Host {
    let bound = config.bind.iter().find_map(|bind| match bind {
        Bind::At(host, _) => Some(host.clone()),
        Bind::All(_) => None,
    });
    // `ssh HOST udpagent invite`: the address that the other side came to (sshd(8), SSH_CONNECTION).
    let ssh = || {
        let connection = std::env::var("SSH_CONNECTION").ok()?;
        let address: IpAddr = connection.split(' ').nth(2)?.parse().ok()?;
        Some(Host::Ip(address.to_canonical()))
    };
    let name = || Host::Name(host_name().to_ascii_lowercase());
    bound.or_else(ssh).unwrap_or_else(name)
}
