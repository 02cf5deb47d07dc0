//! `udpctl ping`: one question to each agent, with the time of its answer.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::args::{Contact, HostOptions};
use super::candidates;
use super::context::{Context, print};
use super::fleet::{Count, Fleet, Round};
use super::local::{LABEL, Local};
use super::reply::{unexpected, words};
use crate::control::exec::summary::Fate;
use crate::control::queries::run_queries;
use crate::control::query::{Answer, NoReply, Question};
use crate::control::targets::Expression;
use crate::escape;
use crate::message::limits::NAME;
use crate::message::status::INTERNAL;
use crate::message::{Reply, Request};
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl ping web1
  udpctl ping web1 web2:7001 '[2001:db8::1]:7000'";

/// `udpctl ping`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PingArgs {
    /// Agents: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set),
        required_unless_present_any = ["local", "hosts", "group", "all_hosts", "hostfile"],
        conflicts_with = "local"
    )]
    pub targets: Vec<Expression>,
    /// Further agents.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Location of the agents.
    #[command(flatten)]
    pub contact: Contact,
}

/// Asks every target for its name and version, and prints the answers as they come.
pub fn run(args: &PingArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let question = |host| Question {
        host,
        request: Request::Ping {},
        invite: None,
        contact_timeout: args.contact.timeout.contact_timeout,
        retry_for: args.contact.timeout.contact_timeout,
        finds_size: false,
    };
    let mut printed = Ok(());
    if args.contact.local {
        let local = Local::start(&mut context.rng, INTERNAL)?;
        let mut count = Count::new([LABEL]);
        let questions = vec![question(local.host.clone())];
        run_queries(&local.client, None, questions, |_, answer| {
            show(&mut count, LABEL, &answer, &mut printed);
        });
        local.stop();
        printed?;
        return Ok(count.conclude(None, INTERNAL));
    }
    let targets = context.targets(&args.targets, &args.hosts)?;
    let mut fleet = Fleet::open(&mut context, &targets)?;
    let questions = fleet.hosts().iter().cloned().map(question).collect();
    fleet.ask(Round::new(questions), |count, _, label, answer| {
        show(count, label, &answer, &mut printed);
    });
    printed?;
    Ok(fleet.conclude(INTERNAL))
}

/// Asks one agent once, and returns its answer in words.
pub fn ask(context: &mut Context, target: &Target, timeout: Duration) -> Result<String> {
    let (client, resolver, host) = context.network_of_one(target)?;
    let question = Question {
        host,
        request: Request::Ping {},
        invite: None,
        contact_timeout: timeout,
        retry_for: timeout,
        finds_size: false,
    };
    let mut answers = Vec::new();
    run_queries(&client, Some(&resolver), vec![question], |_, answer| {
        answers.push(answer);
    });
    client.close();
    let answer = answers
        .pop()
        .context("the network thread ended unexpectedly")?;
    pong(&answer).map_err(|error| anyhow!("{}", words(&error)))
}

/// Counts a host and prints its answer. `printed` keeps the first failure to do so.
fn show(count: &mut Count, label: &str, answer: &Answer, printed: &mut Result<()>) {
    match pong(answer) {
        Ok(words) => {
            count.add(Fate::Ok, label);
            if printed.is_ok() {
                *printed = print(&format!("{label}: {words}\n"));
            }
        }
        Err(error) => count.no_reply(label, &error),
    }
}

/// Formats an answer: `web (udpagent 0.1.0) in 0.41 ms`, with the address if the host has several.
fn pong(answer: &Answer) -> Result<String, NoReply> {
    match answer.reply.clone()? {
        Reply::Pong { name, version } => {
            let rtt = answer.ticket.map_or(Duration::ZERO, |ticket| ticket.rtt);
            let address = answer.address.map(|address| format!(" from {address}"));
            Ok(format!(
                "{} (udpagent {}) in {:.2} ms{}",
                escape::line(name.as_bytes(), NAME),
                escape::line(version.as_bytes(), NAME),
                rtt.as_secs_f64() * 1000.0,
                address.unwrap_or_default()
            ))
        }
        reply => Err(unexpected(&reply)),
    }
}
