//! `udpctl chat` and `udpctl send`: messages for people and scripts.

use std::io::Read as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::args::{ChatArgs, SendArgs};
use super::context::{Controller, note};
use crate::control::chat::client::End;
use crate::control::chat::{self, PlainSource};
use crate::control::exec::summary::{Fate, Tally};
use crate::control::link::Link;
use crate::control::send::{self, Receipt};
use crate::control::signals;
use crate::message::limits::CHAT_TEXT;

/// Chats.
pub fn chat(args: &ChatArgs) -> Result<u8> {
    let signals = signals::catch_end(chat::signals())?;
    if args.plain {
        let addresses = args.target.resolve()?;
        let link = Link::open_plain(Box::new(PlainSource(addresses.clone())))?;
        let path = link.paths(&addresses)?[0];
        let status = chat::chat_plain(&link, path, &signals)?;
        link.close();
        return Ok(status);
    }
    let mut controller = Controller::new()?;
    let link = controller.link()?;
    let directory = controller.directory()?;
    let host = directory
        .find(std::slice::from_ref(&args.target), &link)
        .pop()
        .expect("one target, one host")
        .with_context(|| args.target.label().to_owned())?;
    let options = chat::Options {
        name: args.name.clone(),
        contact_timeout: args.contact_timeout,
        signals: &signals,
        directory: &directory,
    };
    let status = chat::chat(&link, host, &options)?;
    link.close();
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
    let link = controller.link()?;
    let directory = controller.directory()?;
    let mut tally = Tally::default();
    let mut hosts = Vec::new();
    for (target, host) in std::iter::zip(&args.targets, directory.find(&args.targets, &link)) {
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
        directory: &directory,
    };
    send::send(&link, hosts, &text, &options, |receipt| {
        let Receipt { label, delivered } = receipt;
        tally.add(fate(&delivered), &label);
        if let Err(end) = delivered {
            note(&format!("udpctl: {label}: not delivered: {end}"));
        }
    });
    link.close();
    if args.targets.len() > 1 {
        note(&tally.line(began.elapsed()));
        return Ok(tally.exit_status());
    }
    Ok(if tally.exit_status() == 0 { 0 } else { 255 })
}

/// Sends bare datagrams, of which nobody knows whether they arrive.
fn send_plain(args: &SendArgs, text: &str) -> Result<u8> {
    let link = Link::open_plain(Box::new(PlainSource(Vec::new())))?;
    let mut paths = Vec::new();
    for target in &args.targets {
        let addresses = target.resolve()?;
        paths.push(link.paths(&addresses).context(target.label().to_owned())?[0]);
    }
    chat::send_plain(&link, &paths, text)?;
    link.close();
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
