//! `udpctl ping` and `udpctl accept`: one question to an agent, one answer.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::args::{AcceptArgs, PingArgs};
use super::context::{Controller, note, print};
use super::local::Local;
use super::trust::on_change;
use crate::control::client::{Client, Host, HostResolver};
use crate::control::exec::summary::{Fate, Tally};
use crate::control::known_agents::{self, KnownAgents, OnChange, Source};
use crate::control::query::{Answer, NoReply, Question, run_queries};
use crate::escape;
use crate::message::limits::NAME;
use crate::message::{Outcome, Reply, Request};
use crate::net::Invite;

/// Asks every target whether it is there, and who it is.
pub fn ping(args: &PingArgs) -> Result<u8> {
    let began = Instant::now();
    let mut controller = Controller::new()?;
    let question = |host| Question {
        host,
        request: Request::Ping {},
        invite: None,
        contact_timeout: args.contact.contact_timeout,
        retry_for: args.contact.contact_timeout,
    };
    let mut tally = Tally::default();
    if args.contact.local {
        let local = Local::start(&mut controller.rng)?;
        let questions = vec![question(local.host.clone())];
        let printed = ping_all(&local.client, None, questions, &mut tally);
        local.stop();
        printed?;
        return Ok(u8::from(tally.exit_status() != 0));
    }
    let client = controller.link()?;
    let resolver = controller.resolver()?;
    let mut questions = Vec::new();
    for (target, host) in std::iter::zip(&args.targets, resolver.find(&args.targets, &client)) {
        match host {
            Ok(host) => questions.push(question(host)),
            Err(error) => {
                note(&format!("udpctl: {}: {error}", target.label()));
                tally.add(Fate::Unreachable, target.label());
            }
        }
    }
    let printed = ping_all(&client, Some(&resolver), questions, &mut tally);
    client.close();
    printed?;
    if args.targets.len() > 1 {
        note(&tally.line(began.elapsed()));
        return Ok(tally.exit_status());
    }
    Ok(u8::from(tally.exit_status() != 0))
}

fn ping_all(
    client: &Client,
    resolver: Option<&HostResolver>,
    questions: Vec<Question>,
    tally: &mut Tally,
) -> Result<()> {
    let labels: Vec<String> = questions
        .iter()
        .map(|question| question.host.label.clone())
        .collect();
    let mut printed = Ok(());
    run_queries(client, resolver, questions, |index, answer| {
        let label = &labels[index];
        match pong(&answer) {
            Ok(words) => {
                tally.add(Fate::Ok, label);
                if printed.is_ok() {
                    printed = print(&format!("{label}: {words}\n"));
                }
            }
            Err(error) => {
                tally.add(Fate::of(Some(error.outcome)), label);
                note(&format!("udpctl: {label}: {}", words(&error)));
            }
        }
    });
    printed
}

/// `web (udpagent 0.1.0) in 0.41 ms`
fn pong(answer: &Answer) -> Result<String, NoReply> {
    match answer.reply.clone()? {
        Reply::Pong { name, version } => {
            let rtt = answer.ticket.map_or(Duration::ZERO, |ticket| ticket.rtt);
            Ok(format!(
                "{} (udpagent {}) in {:.2} ms",
                escape::line(name.as_bytes(), NAME),
                escape::line(version.as_bytes(), NAME),
                rtt.as_secs_f64() * 1000.0
            ))
        }
        reply => Err(unexpected(&reply)),
    }
}

/// Accepts an invitation: registers this controller's key, then pins the agent's.
pub fn accept(args: &AcceptArgs) -> Result<u8> {
    let invite = read_invite(&args.invite)?;
    let mut controller = Controller::new()?;
    let known_agents = controller.home.known_agents();
    let addresses = invite.target.resolve()?;
    refuse_another_key(args, &invite, &known_agents, &addresses)?;

    let client = controller.link()?;
    let host = Host {
        label: invite.target.label().to_owned(),
        agent: invite.agent,
        paths: client.paths(&addresses)?,
        ticket: None,
    };
    let question = Question {
        host,
        request: Request::Register {
            name: args.name.clone().unwrap_or_else(own_name),
        },
        invite: Some(*invite.token.as_bytes()),
        contact_timeout: args.contact_timeout,
        retry_for: args.contact_timeout,
    };
    let mut answers = Vec::new();
    run_queries(&client, None, vec![question], |_, answer| {
        answers.push(answer);
    });
    client.close();
    let answer = answers.pop().context("the network thread has ended")?;
    let target = &invite.target;
    let (name, agent) = match answer.reply {
        Ok(Reply::Registered { name, agent }) => (name, agent),
        Ok(Reply::Denied {}) => bail!("{target}: the invitation is not good any more; {AGAIN}"),
        Ok(reply) => bail!("{target}: {}", words(&unexpected(&reply))),
        Err(error) if error.outcome == (Outcome::Unreachable {}) => {
            bail!(
                "{target}: no answer; if the agent runs there, the invitation was used already or is \
                 older than ten minutes: {AGAIN}"
            )
        }
        Err(error) => bail!("{target}: {}", words(&error)),
    };
    known_agents::add(
        &known_agents,
        target,
        &invite.agent,
        on_change(args.replace),
    )?;
    print(&format!(
        "{target} is trusted now; {} calls this controller {}\n",
        escape::line(agent.as_bytes(), NAME),
        escape::line(name.as_bytes(), NAME)
    ))?;
    Ok(0)
}

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

/// Bytes read where an invitation should be: it has a hundred, a login message may stand before it.
const INVITE_TEXT: u64 = 64 << 10;

/// Before the invitation is used up.
fn refuse_another_key(
    args: &AcceptArgs,
    invite: &Invite,
    known_agents: &std::path::Path,
    addresses: &[SocketAddr],
) -> Result<()> {
    let ips: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
    let known = KnownAgents::load(known_agents)?;
    if on_change(args.replace) == OnChange::Refuse
        && let Ok(pin) = known.lookup(&invite.target, &ips, None)
        && let Source::Line(path, line) = &pin.source
        && pin.key != invite.agent
    {
        bail!(
            "{}: the key differs from the one in {}:{line}; if the agent was set up anew, accept again \
             with --replace",
            invite.target,
            path.display()
        );
    }
    Ok(())
}

/// `user@host`, as far as it is known.
fn own_name() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "someone".into());
    let host = rustix::system::uname();
    format!("{user}@{}", host.nodename().to_string_lossy())
}

/// A reply that answers something else, or says no.
pub fn unexpected(reply: &Reply) -> NoReply {
    let (outcome, note) = match reply {
        Reply::Denied {} => (Outcome::Denied {}, None),
        Reply::NoJob {} => (Outcome::Unknown {}, None),
        Reply::Unsupported { reason } => (Outcome::Denied {}, Some(reason.clone())),
        _ => (
            Outcome::Lost {},
            Some("an answer to something else".to_owned()),
        ),
    };
    NoReply { outcome, note }
}

/// Why there is no answer, in words.
pub fn words(error: &NoReply) -> String {
    match &error.note {
        Some(note) => format!("{}: {}", error.outcome, escape::line(note.as_bytes(), 256)),
        None => error.outcome.to_string(),
    }
}
