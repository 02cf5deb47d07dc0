//! The commands of `udpagent` that read or write its files: `invite`, `key`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::InviteArgs;
use super::serve::host_name;
use crate::agent::access::invite;
use crate::agent::config::{self, Config, Layer};
use crate::agent::daemon::unix_now;
use crate::agent::listening;
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

/// ReplayLog the agent's key.
pub(super) fn key() -> Result<u8> {
    println!("{}", Files::locate()?.key()?);
    Ok(0)
}

/// Opens an invitation and replay_log the command that accepts it.
pub(super) fn invite(args: &InviteArgs) -> Result<u8> {
    let files = Files::locate()?;
    let config = Config::resolve([read_config(&files, args.config.as_deref())?]);
    let bound = running(&files)?;
    let target = target(args.host.as_deref(), &bound, &config)?;
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

/// Addresses that the running agent listens on; none if no agent runs.
fn running(files: &Files) -> Result<Vec<SocketAddr>> {
    let path = files.agent.listening();
    let bound = listening::read(&path).with_context(|| path.display().to_string())?;
    Ok(bound.unwrap_or_default())
}

/// Where the bearer of an invitation reaches the agent. A port that nobody has said or bound is named on
/// standard error.
fn target(typed: Option<&str>, bound: &[SocketAddr], config: &Config) -> Result<Target> {
    let host = match typed {
        Some(text) => {
            let target: Target = text.parse().with_context(|| format!("--host {text}"))?;
            let bind: Result<Bind, _> = text.parse();
            if text.ends_with(&format!(":{}", target.port())) && bind.is_ok() {
                return Ok(target);
            }
            target.host().clone()
        }
        None => reachable(bound, config),
    };
    let port = bound_port(bound, &host).unwrap_or_else(|| {
        let (port, source) = configured_port(config);
        eprintln!(
            "udpagent: no agent of this user runs here; the invitation names port {port}, {source}"
        );
        port
    });
    Ok(Target::new(host, port))
}

/// The port of the running agent in the address family of a host. A name may mean either.
fn bound_port(bound: &[SocketAddr], host: &Host) -> Option<u16> {
    let is_v6 = match host {
        Host::Ip(ip) => ip.is_ipv6(),
        Host::Zoned(..) => true,
        Host::Name(_) => false,
    };
    let same = bound.iter().find(|address| address.is_ipv6() == is_v6);
    same.or(bound.first()).map(SocketAddr::port)
}

/// The port that an agent would listen on, and where that is said.
fn configured_port(config: &Config) -> (u16, &'static str) {
    let mut ports = config.bind.iter().map(|bind| match bind {
        Bind::All(port) | Bind::At(_, port) => *port,
    });
    match ports.find(|&port| port != 0) {
        Some(DEFAULT_PORT) | None => (DEFAULT_PORT, "the usual one"),
        Some(port) => (port, "from the configuration"),
    }
}

/// The best guess at where the bearer of an invitation reaches this host.
fn reachable(bound: &[SocketAddr], config: &Config) -> Host {
    let ports: Vec<u16> = bound.iter().map(SocketAddr::port).collect();
    // The configuration may name the host; it says nothing of an agent that was told otherwise.
    let configured = config.bind.iter().find_map(|bind| match bind {
        Bind::At(host, port) if ports.is_empty() || ports.contains(port) => Some(host.clone()),
        Bind::At(..) | Bind::All(_) => None,
    });
    let ips = || bound.iter().map(SocketAddr::ip);
    let special = ips()
        .find(|ip| !ip.is_unspecified() && !ip.is_loopback())
        .or_else(|| ips().next().filter(IpAddr::is_loopback))
        .map(Host::Ip);
    // `ssh HOST udpagent invite`: the address that the other side came to (sshd(8), SSH_CONNECTION).
    let ssh = || {
        let connection = std::env::var("SSH_CONNECTION").ok()?;
        let address: IpAddr = connection.split(' ').nth(2)?.parse().ok()?;
        Some(Host::Ip(address.to_canonical()))
    };
    let name = || Host::Name(host_name().to_ascii_lowercase());
    configured.or(special).or_else(ssh).unwrap_or_else(name)
}
