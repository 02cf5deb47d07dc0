//! `udpctl accept`: registers this controller's key at an agent by an invitation, then pins the agent's key.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use crossbeam_channel::never;

use super::args::ContactTimeout;
use super::context::{Context, is_watched, note, note_of, print};
use super::reply::{unexpected, words};
use super::trust::{on_change, refuse_key_of_hosts_toml};
use crate::agent::access::SAME_USER;
use crate::control::host_resolver::Host;
use crate::control::known_agents::{self, Added, Changed, KnownAgents, TrustError};
use crate::control::limits;
use crate::control::queries::{Conditions, run_queries_until};
use crate::control::query::Question;
use crate::escape;
use crate::message::limits::NAME;
use crate::message::{Outcome, Reply, Request};
use crate::net::{Invite, Target};
use crate::process::Account;

const EXAMPLES: &str = "\
\"udpagent invite\", run on the agent's host as the agent's user, prints the invitation; over ssh it can be piped from there.

Examples:
  udpctl accept 'web3:7000#ua1:...#...'
  ssh web3 udpagent invite | udpctl accept -";

/// `udpctl accept`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AcceptArgs {
    /// Invitation, HOST:PORT#KEY#TOKEN, or "-" to read it from standard input
    #[arg(value_name = "INVITE")]
    pub invite: String,
    /// Ask the agent to call this controller NAME [default: USER@HOST]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Replace the key that is known for this agent
    #[arg(long)]
    pub replace: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Accepts an invitation.
pub fn run(args: &AcceptArgs) -> Result<u8> {
    let invite = read_invite(&args.invite)?;
    let registration = Registration {
        name: args.name.clone(),
        replace: args.replace,
        timeout: args.timeout.contact_timeout,
    };
    let accepted = accept(&mut Context::new()?, &invite, &registration)?;
    print(&format!("{}\n", accepted.line))?;
    if let Some(name) = args.name.as_ref().filter(|_| accepted.is_renamed) {
        note(&format!(
            "udpctl: {}: the name \"{}\" is that of the agent or of another key there, looks like one, or has characters that \
             names do not have",
            accepted.target,
            escape::line(name.as_bytes(), NAME)
        ));
    }
    if accepted.is_own_user {
        note(&format!(
            "udpctl: {}: this controller is that of the agent's own user, which needs no invitation: this one was not used, \
             and its options and --name have no effect",
            accepted.target
        ));
    } else if accepted.listed {
        note(&format!(
            "udpctl: {}: this controller was listed there before; its name and its rights stay as they were, and \
             the options of the invitation and --name have no effect",
            accepted.target
        ));
    }
    Ok(0)
}

/// Choices for a registration.
pub struct Registration {
    /// Name to ask for.
    pub name: Option<String>,
    /// True if a key that is known for the agent is replaced.
    pub replace: bool,
    /// Time limit for the first answer.
    pub timeout: Duration,
}

/// A registration that was made.
pub struct Accepted {
    /// The agent.
    pub target: Target,
    /// Words about the agent and the name of this controller there.
    pub line: String,
    /// True if this controller was listed before.
    pub listed: bool,
    /// True if this controller is that of the agent's own user, whose key needs no line.
    pub is_own_user: bool,
    /// True if this controller has another name there than it asked for, and was not listed before.
    pub is_renamed: bool,
}

/// Registers this controller's key and trusts the agent's.
pub fn accept(context: &mut Context, invite: &Invite, args: &Registration) -> Result<Accepted> {
    let known_agents = context.home.known_agents();
    let target = context.target(&invite.target)?;
    let addresses = target.resolve()?;
    refuse_another_key(args, context, &target, invite)?;

    let client = context.link_to(&addresses)?;
    let host = Host {
        label: invite.target.label().to_owned(),
        agent: invite.agent,
        paths: client.paths(&addresses)?,
        ticket: None,
    };
    let requested = args.name.clone().unwrap_or_else(own_name);
    let question = Question {
        host,
        request: Request::Register {
            name: requested.clone(),
        },
        invite: Some(*invite.token.as_bytes()),
        contact_timeout: args.timeout,
        retry_for: args.timeout,
        finds_size: false,
    };
    let mut answers = Vec::new();
    let conditions = Conditions {
        resolver: None,
        signals: &never(),
        window: limits::WINDOW,
        note: note_of,
        is_watched: is_watched(),
        time_limit: None,
    };
    run_queries_until(&client, &conditions, vec![question], |_, answer| {
        answers.push(answer);
    });
    client.close();
    let answer = answers
        .pop()
        .context("the network thread ended unexpectedly")?;
    let (name, agent, listed) = match answer.reply {
        Ok(Reply::Registered {
            name,
            agent,
            listed,
        }) => (name, agent, listed),
        Ok(Reply::Denied {}) => bail!("{target}: the invitation is no longer valid; {AGAIN}"),
        Ok(reply) => bail!("{target}: {}", words(&unexpected(&reply))),
        Err(error) if error.outcome == (Outcome::Unreachable {}) && !error.is_refused => {
            bail!(NoAnswer(target))
        }
        Err(error) => bail!("{target}: {}", words(&error)),
    };
    let on_change = on_change(args.replace);
    let known = match known_agents::add(&known_agents, &target, &invite.agent, on_change)? {
        Added::New | Added::Already => "is trusted",
        Added::Replaced => "has a new key",
    };
    let line = format!(
        "{target} {known} now; {} calls this controller {}",
        escape::line(agent.as_bytes(), NAME),
        escape::line(name.as_bytes(), NAME)
    );
    Ok(Accepted {
        target,
        line,
        listed,
        is_own_user: listed && name == SAME_USER,
        is_renamed: !listed && name != requested,
    })
}

/// Error: the agent does not answer.
#[derive(Debug)]
pub struct NoAnswer(Target);

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: no answer; if an agent runs there, the invitation has been used or is older than ten minutes: {AGAIN}",
            self.0
        )
    }
}

impl std::error::Error for NoAnswer {}

/// Advice for an invitation that does not work.
const AGAIN: &str = "run \"udpagent invite\" there again";

fn read_invite(text: &str) -> Result<Invite> {
    if text != "-" {
        return text.parse().map_err(|error| anyhow!("{error}"));
    }
    let mut input = String::new();
    std::io::stdin()
        .take(INVITE_TEXT)
        .read_to_string(&mut input)
        .context("standard input")?;
    input
        .parse()
        .map_err(|error| anyhow!("standard input: {error}"))
}

/// Bytes read of standard input: an invitation has about a hundred, and a login message may precede it.
const INVITE_TEXT: u64 = 64 << 10;

/// Fails as `udpctl trust` does if another key is known for the agent, before the invitation is spent.
fn refuse_another_key(
    args: &Registration,
    context: &Context,
    target: &Target,
    invite: &Invite,
) -> Result<()> {
    refuse_key_of_hosts_toml(context, target, &invite.agent)?;
    if args.replace {
        return Ok(());
    }
    match KnownAgents::load(&context.home.known_agents())?.lookup(target, &[], None) {
        Ok(pin) if pin.key != invite.agent => Err(TrustError::Changed(vec![Changed {
            source: pin.source,
            name: target.to_string(),
            pinned: pin.key,
            given: invite.agent,
        }])
        .into()),
        Ok(_) | Err(TrustError::Unknown(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The default name of this controller, `user@host`. Without the variable USER, the user is that of the password database.
fn own_name() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let of_database = || Account::current().name.to_string_lossy().into_owned();
    let user = user.unwrap_or_else(of_database);
    let host = rustix::system::uname();
    format!("{user}@{}", host.nodename().to_string_lossy())
}
