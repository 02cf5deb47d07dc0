//! `udpctl ping`: one question to each agent, with the time of its answer.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use super::args::{Contact, HostOptions};
use super::context::{Context, Network, note, print};
use super::local::Local;
use super::reply::{short_words, unexpected, words};
use crate::control::client::Client;
use crate::control::exec::summary::{Fate, Tally};
use crate::control::host_resolver::HostResolver;
use crate::control::queries::run_queries;
use crate::control::query::{Answer, NoReply, Question};
use crate::control::targets::Expression;
use crate::escape;
use crate::message::limits::NAME;
use crate::message::{Reply, Request};

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
        value_name = "TARGET",
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
    let began = Instant::now();
    let mut context = Context::new()?;
    let question = |host| Question {
        host,
        request: Request::Ping {},
        invite: None,
        contact_timeout: args.contact.timeout.contact_timeout,
        retry_for: args.contact.timeout.contact_timeout,
    };
    let mut tally = Tally::default();
    if args.contact.local {
        let local = Local::start(&mut context.rng)?;
        let questions = vec![question(local.host.clone())];
        let printed = ping_all(&local.client, None, questions, &mut tally);
        local.stop();
        printed?;
        return Ok(u8::from(tally.exit_status() != 0));
    }
    let targets = context.targets(&args.targets, &args.hosts)?;
    let Network {
        client,
        resolver,
        hosts,
    } = context.network(&targets)?;
    let mut questions = Vec::new();
    for (target, host) in std::iter::zip(&targets, hosts) {
        match host {
            Ok(host) => questions.push(question(host)),
            Err(error) => {
                note(&format!("udpctl: {}: {error}", target.label()));
                tally.add(Fate::Unreachable, target.label());
            }
        }
    }
    let printed = ping_all(&client, Some(&resolver), questions, &mut tally);
    if targets.len() > 1
        && let Some(drops) = client.drops()
    {
        note(&format!("udpctl: {drops}"));
    }
    client.close();
    printed?;
    if targets.len() > 1 {
        note(&tally.lines(began.elapsed()).join("\n"));
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
                let words = if labels.len() > 1 {
                    short_words(&error)
                } else {
                    words(&error)
                };
                note(&format!("udpctl: {label}: {words}"));
            }
        }
    });
    printed
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
