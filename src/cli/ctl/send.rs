//! `udpctl send`: one message to the chats of one or more agents.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::io::Read as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::args::ContactTimeout;
use super::context::{Context, Network, note};
use crate::control::chat::{self, PlainSource};
use crate::control::chat_client::End;
use crate::control::client::Client;
use crate::control::exec::summary::{Fate, Tally};
use crate::control::send::{self, Receipt};
use crate::control::signals;
use crate::control::targets::Expression;
use crate::message::limits::CHAT_TEXT;
use crate::net::Target;
use crate::net::limits::PLAIN;

const EXAMPLES: &str = "\
Examples:
  udpctl send web1 web2 'maintenance at noon'
  uptime | udpctl send web1 -
  udpctl send --plain localhost:7000 hello";

/// `udpctl send`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SendArgs {
    /// Agents: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Expression>,
    /// Message, or "-" to read it from standard input
    #[arg(value_name = "TEXT", required = true)]
    pub text: String,
    /// Send a bare datagram, for example to netcat: not encrypted, delivery unknown
    #[arg(long)]
    pub plain: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Sends the message and reports each agent that did not receive it.
pub fn run(args: &SendArgs) -> Result<u8> {
    let began = Instant::now();
    let text = text(args)?;
    let mut context = Context::new()?;
    let targets = context.targets_of(&args.targets)?;
    if args.plain {
        return send_plain(&targets, &text);
    }
    let signals = signals::catch_end(&[])?;
    let Network {
        client,
        resolver,
        hosts: found,
    } = context.network(&targets)?;
    let mut tally = Tally::default();
    let mut hosts = Vec::new();
    for (target, host) in std::iter::zip(&targets, found) {
        match host {
            Ok(host) => hosts.push(host),
            Err(error) => {
                note(&format!(
                    "udpctl: {}: not delivered: {error}",
                    target.label()
                ));
                tally.add(Fate::Unreachable, target.label());
            }
        }
    }
    let options = send::Options {
        contact_timeout: args.timeout.contact_timeout,
        signals: &signals,
        resolver: &resolver,
    };
    send::send(&client, hosts, &text, &options, |receipt| {
        let Receipt { label, delivered } = receipt;
        tally.add(fate(&delivered), &label);
        if let Err(end) = delivered {
            note(&format!("udpctl: {label}: not delivered: {end}"));
        }
    });
    client.close();
    if targets.len() > 1 {
        note(&tally.lines(began.elapsed()).join("\n"));
        return Ok(tally.exit_status());
    }
    Ok(if tally.exit_status() == 0 { 0 } else { 255 })
}

/// Sends bare datagrams, whose delivery is unknown.
fn send_plain(targets: &[Target], text: &str) -> Result<u8> {
    let client = Client::open_plain(Box::new(PlainSource::new(&[])))?;
    let mut paths = Vec::new();
    for target in targets {
        let addresses = target.resolve()?;
        paths.push(
            client
                .paths(&addresses)
                .context(target.label().to_owned())?[0],
        );
    }
    chat::send_plain(&client, &paths, text)?;
    client.close();
    Ok(0)
}

/// Returns the class under which a message is counted.
const fn fate(delivered: &Result<u32, End>) -> Fate {
    match delivered {
        Ok(_) => Fate::Ok,
        Err(End::Left) => Fate::Skipped,
        Err(End::Denied | End::Refused(_)) => Fate::Denied,
        Err(End::Unreachable { .. } | End::Full) => Fate::Unreachable,
        Err(End::Lost | End::PutOut | End::ByPeer(_) | End::Violation(_) | End::LineTooLong) => {
            Fate::Lost
        }
    }
}

/// Returns the message: as typed, or all of stdin without its last line break.
fn text(args: &SendArgs) -> Result<String> {
    let most = if args.plain { PLAIN - 1 } else { CHAT_TEXT };
    let mut text = args.text.clone();
    if text == "-" {
        text.clear();
        std::io::stdin()
            .take(most as u64 + 2)
            .read_to_string(&mut text)
            .context("standard input")?;
        if text.ends_with('\n') {
            text.pop();
        }
    }
    if text.len() > most {
        let kind = if args.plain {
            "plain text"
        } else {
            "a message"
        };
        bail!("{kind} has at most {most} bytes");
    }
    Ok(text)
}
