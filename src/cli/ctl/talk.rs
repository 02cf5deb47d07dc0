//! `udpctl chat` and `udpctl send`: messages for people and scripts.

use std::io::Read as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::args::{ChatArgs, SendArgs};
use super::context::{Controller, note};
use crate::control::chat::client::End;
use crate::control::chat::{self, PlainSource};
use crate::control::client::Client;
use crate::control::exec::summary::{Fate, Tally};
use crate::control::send::{self, Receipt};
use crate::control::signals;
use crate::message::limits::CHAT_TEXT;

/// Chats.
pub fn chat(args: &ChatArgs) -> Result<u8> {
    let signals = signals::catch_end(chat::signals())?;
    if args.plain {
        let addresses = args.target.resolve()?;
        let client = Client::open_plain(Box::new(PlainSource::new(&addresses)))?;
        let path = client.paths(&addresses)?[0];
        let status = chat::chat_plain(&client, path, &signals)?;
        client.close();
        return Ok(status);
    }
    let mut controller = Controller::new()?;
    let client = controller.link()?;
    let resolver = controller.resolver()?;
    let host = resolver
        .find(std::slice::from_ref(&args.target), &client)
        .pop()
        .expect("one target, one host")
        .with_context(|| args.target.label().to_owned())?;
    let options = chat::Options {
        name: args.name.clone(),
        contact_timeout: args.contact_timeout,
        signals: &signals,
        resolver: &resolver,
    };
    let status = chat::chat(&client, host, &options)?;
    client.close();
    Ok(status)
}

/// Sends a message to one host or many.
pub fn send(args: &SendArgs) -> Result<u8> {
    let began = Instant::now();
    let text = text(&args.text)?;
    if args.plain {
        return send_plain(args, &text);
    }
    let signals = signals::catch_end(&[])?;
    let mut controller = Controller::new()?;
    let client = controller.link()?;
    let resolver = controller.resolver()?;
    let mut tally = Tally::default();
    let mut hosts = Vec::new();
    for (target, host) in std::iter::zip(&args.targets, resolver.find(&args.targets, &client)) {
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
        contact_timeout: args.contact_timeout,
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
    if args.targets.len() > 1 {
        note(&tally.line(began.elapsed()));
        return Ok(tally.exit_status());
    }
    Ok(if tally.exit_status() == 0 { 0 } else { 255 })
}

/// Sends bare datagrams, of which nobody knows whether they arrive.
fn send_plain(args: &SendArgs, text: &str) -> Result<u8> {
    let client = Client::open_plain(Box::new(PlainSource::new(&[])))?;
    let mut paths = Vec::new();
    for target in &args.targets {
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

const fn fate(delivered: &Result<u32, End>) -> Fate {
    match delivered {
        Ok(_) => Fate::Ok,
        Err(End::Left) => Fate::Skipped,
        Err(End::Denied | End::Refused(_)) => Fate::Denied,
        Err(End::Unreachable | End::Full) => Fate::Unreachable,
        Err(End::Lost | End::PutOut | End::ByPeer(_) | End::Violation(_)) => Fate::Lost,
    }
}

/// The message: as typed, or all of stdin without its last line break.
fn text(typed: &str) -> Result<String> {
    let mut text = typed.to_owned();
    if typed == "-" {
        text.clear();
        std::io::stdin()
            .take(CHAT_TEXT as u64 + 2)
            .read_to_string(&mut text)
            .context("standard input")?;
        if text.ends_with('\n') {
            text.pop();
        }
    }
    if text.len() > CHAT_TEXT {
        bail!("a message has at most {CHAT_TEXT} bytes");
    }
    Ok(text)
}
