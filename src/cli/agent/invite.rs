//! `udpagent invite`: a token that authorises one controller, inside a command to paste there.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::candidates;
use super::files::{ConfigFile, Files};
use super::host_accounts::HostAccounts;
use super::serve::host_name;
use crate::agent::access::{Options, Problem, Sources, invite};
use crate::agent::config::Config;
use crate::agent::daemon::listening;
use crate::agent::daemon::unix_now;
use crate::cli::output::{note, print};
use crate::net::{self, Bind, DEFAULT_PORT, Host, Invite, Target};
use crate::process::Account;

const EXAMPLES: &str = "\
Run it on the agent's host as the agent's user. With ssh to that host, one line on the controller's machine does both: ssh runs
\"udpagent invite\" there, and \"udpctl accept -\" here reads what it prints.

Examples:
  udpagent invite
  udpagent invite --host web3.example.org chat-only
  ssh web3 udpagent invite 'allow=uptime' | udpctl accept -";

/// `udpagent invite`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InviteArgs {
    /// Restriction on the invited key, as in authorized_keys: chat-only, "allow=uname -a"
    #[arg(value_name = "OPTION", add = ArgValueCompleter::new(candidates::option))]
    pub options: Vec<String>,
    /// Put HOST or HOST:PORT into the invitation as the address of this agent [default: the address of this
    /// ssh session, or the host name; the port of the running agent]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Creates an invitation and prints the command that accepts it.
pub fn run(args: &InviteArgs) -> Result<u8> {
    let files = Files::locate()?;
    let config = Config::resolve([files.read_config(&args.config)?]);
    check(args, &files)?;
    let bound = running(&files)?;
    let target = target(args.host.as_deref(), &bound, &config, &files)?;
    let agent = files.key()?;
    let mut rng = net::rng().context("cannot get random numbers from the system")?;
    let token = invite::create(&files.agent, &args.options, &mut rng, unix_now())?;
    let invite = Invite {
        target,
        agent,
        token,
    };
    print(&format!("{}\n", invite.command()))?;
    Ok(0)
}

/// Refuses options with which the invited key could do nothing, and names the errors in the files, because a key
/// cannot be entered while `authorized_keys` cannot be used.
fn check(args: &InviteArgs, files: &Files) -> Result<()> {
    let accounts = HostAccounts(Account::current());
    let options = Options::parse(&args.options)?;
    if let Some(error) = options
        .ineffective(&accounts, unix_now())
        .into_iter()
        .next()
    {
        bail!(error);
    }
    let sources = Sources {
        agent: files.agent.clone(),
        control: files.control.clone(),
    };
    let (policy, mut problems) = sources.load();
    problems.extend(policy.ineffective_lines(&accounts, unix_now()));
    for problem in &problems {
        note(&format!("udpagent: {problem}"));
    }
    if problems
        .iter()
        .any(|problem| matches!(problem, Problem::AdmitsNobody(_)))
    {
        bail!("no key can be added; correct the file first");
    }
    Ok(())
}

/// Returns the addresses that the running agent listens on; none if no agent runs.
fn running(files: &Files) -> Result<Vec<SocketAddr>> {
    let path = files.agent.listening();
    let bound = listening::read(&path).with_context(|| path.display().to_string())?;
    Ok(bound.unwrap_or_default())
}

/// Condition of an invitation that was made without a running agent.
const ONCE_RUNNING: &str = "it works once an agent runs with these files, within ten minutes";

/// Says that no agent runs with these files.
fn no_agent(files: &Files) -> String {
    let path = files.agent.listening();
    format!("{} names no running agent", path.display())
}

/// Returns the address to put into the invitation. A port that was neither typed nor bound by a running agent
/// is reported on standard error.
fn target(
    typed: Option<&str>,
    bound: &[SocketAddr],
    config: &Config,
    files: &Files,
) -> Result<Target> {
    let host = match typed {
        Some(text) => {
            let target: Target = text.parse().with_context(|| format!("--host {text}"))?;
            let bind: Result<Bind, _> = text.parse();
            if text.ends_with(&format!(":{}", target.port())) && bind.is_ok() {
                if bound.is_empty() {
                    note(&format!("udpagent: {}; {ONCE_RUNNING}", no_agent(files)));
                }
                return Ok(target);
            }
            target.host().clone()
        }
        None => reachable(bound, config),
    };
    let port = bound_port(bound, &host).unwrap_or_else(|| {
        let (port, source) = configured_port(config);
        note(&format!(
            "udpagent: {}; the invitation names port {port}, {source}; {ONCE_RUNNING}",
            no_agent(files)
        ));
        port
    });
    Ok(Target::new(host, port))
}

/// Returns the port of the running agent in the address family of a host; a name may stand for either family.
fn bound_port(bound: &[SocketAddr], host: &Host) -> Option<u16> {
    let is_v6 = match host {
        Host::Ip(ip) => ip.is_ipv6(),
        Host::Zoned(..) => true,
        Host::Name(_) => false,
    };
    let same = bound.iter().find(|address| address.is_ipv6() == is_v6);
    same.or(bound.first()).map(SocketAddr::port)
}

/// Returns the port that an agent would listen on, and its source in words.
fn configured_port(config: &Config) -> (u16, &'static str) {
    let mut ports = config.bind.iter().map(|bind| match bind {
        Bind::All(port) | Bind::At(_, port) => *port,
    });
    match ports.find(|&port| port != 0) {
        Some(DEFAULT_PORT) | None => (DEFAULT_PORT, "the default"),
        Some(port) => (port, "from the configuration"),
    }
}

/// Returns the most likely host under which the bearer of an invitation reaches this one.
fn reachable(bound: &[SocketAddr], config: &Config) -> Host {
    let ports: Vec<u16> = bound.iter().map(SocketAddr::port).collect();
    // The configuration may name the host, unless an option of the running agent has overridden it.
    let configured = config.bind.iter().find_map(|bind| match bind {
        Bind::At(host, port) if ports.is_empty() || ports.contains(port) => Some(host.clone()),
        Bind::At(..) | Bind::All(_) => None,
    });
    let ips = || bound.iter().map(SocketAddr::ip);
    let special = ips()
        .find(|ip| !ip.is_unspecified() && !ip.is_loopback())
        .or_else(|| ips().next().filter(IpAddr::is_loopback))
        .map(Host::Ip);
    // Under `ssh HOST udpagent invite`, the address that ssh connected to (ssh(1), SSH_CONNECTION).
    let ssh = || {
        let connection = std::env::var("SSH_CONNECTION").ok()?;
        let address: IpAddr = connection.split(' ').nth(2)?.parse().ok()?;
        Some(Host::Ip(address.to_canonical()))
    };
    let name = || Host::Name(host_name().to_ascii_lowercase());
    configured.or(special).or_else(ssh).unwrap_or_else(name)
}
