//! `udpctl send`: one message to the chats of one or more agents.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::fmt::Display;
use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::args::{ContactTimeout, HostOptions};
use super::candidates;
use super::context::{Context, Network, is_watched, note, note_of, print};
use super::fleet::Count;
use super::unanswered::Unanswered;
use crate::control::chat_client::End;
use crate::control::contact::no_answer;
use crate::control::exec::summary::Fate;
use crate::control::fleet::Share;
use crate::control::host_resolver::resolve_all;
use crate::control::plain_send::{self, PlainAnswer, PlainHost, PlainResult};
use crate::control::send::{self, Receipt};
use crate::control::signals;
use crate::control::targets::Expression;
use crate::duration;
use crate::message::RoomName;
use crate::message::limits::CHAT_TEXT;
use crate::message::status::{SOME_UNKNOWN, SUCCESS, UDPCTL_FAILURE, USAGE};
use crate::net::limits::PLAIN;
use crate::net::{PlainText, Target, families_in_turn};

const EXAMPLES: &str = "\
Examples:
  udpctl send web1 web2 -- maintenance at noon
  uptime | udpctl send web1 -- -
  udpctl send -g web --quorum 80% -- 'new release'
  udpctl send --room deploy web1 -- done
  udpctl send --plain localhost:7000 -- hello
  udpctl send --plain --reply-wait 2s localhost:7000 -- hello";

/// `udpctl send`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SendArgs {
    /// Agents: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set),
        required_unless_present_any = ["hosts", "group", "all_hosts", "hostfile"]
    )]
    pub targets: Vec<Expression>,
    /// Message, its words joined by spaces, or "-" to read it from standard input
    #[arg(value_name = "TEXT", last = true, required = true)]
    pub text: Vec<String>,
    /// Further agents.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Send to the room NAME, in which somebody is or was [default: the room that all share]
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    pub room: Option<RoomName>,
    /// Exit with 0 if N agents have confirmed the message, or N% of them
    #[arg(long, value_name = "N", conflicts_with = "plain")]
    pub quorum: Option<Share>,
    /// Send a bare datagram, for example to netcat: not encrypted, delivery unknown
    #[arg(long)]
    pub plain: bool,
    /// Print the first answer of each target within TIME; exit with 4 if there is none
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "plain")]
    pub reply_wait: Option<Duration>,
    /// Do not end the datagram with a line feed
    #[arg(long, requires = "plain")]
    pub no_newline: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Returns the fault of a line that cannot be carried out.
fn fault(args: &SendArgs, targets: usize) -> Option<String> {
    if args.text == ["-"] && args.hosts.reads_stdin() {
        return Some("\"-- -\" and --hostfile - both read standard input".into());
    }
    let quorum = args.quorum?.of(targets);
    (quorum > targets).then(|| {
        format!("a quorum of {quorum} cannot be reached: the number of targets is {targets}")
    })
}

/// Sends the message and reports each agent that did not receive it.
pub fn run(args: &SendArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let targets = context.targets(&args.targets, &args.hosts)?;
    if let Some(fault) = fault(args, targets.len()) {
        note(&format!("udpctl: {fault}"));
        return Ok(USAGE);
    }
    let text = text(args)?;
    if !args.plain && text.trim().is_empty() {
        note("udpctl: the message is empty; nothing was sent");
        return Ok(USAGE);
    }
    if args.plain {
        return send_plain(args, &targets, &text);
    }
    let mut count = Count::new(targets.iter().map(Target::label));
    let Network {
        client,
        resolver,
        hosts: found,
    } = context.network(&targets)?;
    let signals = signals::catch_end(&[])?;
    let not_delivered = |why: &dyn Display| format!("not delivered: {why}");
    let mut hosts = Vec::new();
    for (target, host) in std::iter::zip(&targets, found) {
        match host {
            Ok(host) => hosts.push(host),
            Err(error) => {
                count.fail(Fate::Unreachable, target.label(), &not_delivered(&error));
            }
        }
    }
    let options = send::Options {
        contact_timeout: args.timeout.contact_timeout,
        room: args.room.as_ref(),
        signals: &signals,
        resolver: &resolver,
        note: note_of,
        is_watched: targets.len() == 1 && is_watched(),
    };
    let is_met = hosts.iter().any(|host| host.ticket.is_some());
    let mut unanswered = None;
    let interrupted = send::send(&client, hosts, &text, &options, |receipt| {
        let Receipt { label, delivered } = receipt;
        let fate = fate(&delivered);
        match delivered {
            Ok(_) => count.add(fate, &label),
            Err(end) => {
                count.fail(fate, &label, &not_delivered(&words(&end, targets.len())));
                if let End::Unreachable { is_refused, .. } = end {
                    unanswered = Some(is_refused);
                }
            }
        }
    });
    for label in interrupted.iter().flat_map(|end| &end.skipped) {
        count.add(Fate::Skipped, label);
    }
    let signal = interrupted.map(|end| end.signal);
    let status = count.conclude(signal, UDPCTL_FAILURE);
    if let (Some(is_refused), [target]) = (unanswered, targets.as_slice()) {
        let label = target.label();
        let unanswered = Unanswered {
            label,
            is_met,
            is_refused,
        };
        unanswered.explain();
    }
    client.close();
    let is_reached = |quorum: Share| count.of(Fate::Ok) >= quorum.of(targets.len());
    Ok(match args.quorum {
        Some(quorum) if signal.is_none() && is_reached(quorum) => SUCCESS,
        Some(_) | None => status,
    })
}

/// Sends bare datagrams, whose delivery is unknown. Returns [`SOME_UNKNOWN`] if a target refused its datagram or did
/// not answer in time.
fn send_plain(args: &SendArgs, targets: &[Target], text: &str) -> Result<u8> {
    let newline = if args.no_newline { "" } else { "\n" };
    let datagram = format!("{text}{newline}");
    let mut status = SUCCESS;
    let mut hosts = Vec::new();
    for (target, resolved) in std::iter::zip(targets, resolve_all(targets)) {
        let label = target.label().to_owned();
        match resolved {
            Ok(addresses) => hosts.push(PlainHost {
                label,
                addresses: families_in_turn(&addresses).collect(),
            }),
            Err(error) => {
                note_of(&label, &format!("not delivered: {error}"));
                status = SOME_UNKNOWN;
            }
        }
    }
    let is_several = targets.len() > 1;
    let mut printed = Ok(());
    let answered = |index: usize, result: PlainResult| match result {
        Ok(None) => {}
        Ok(Some(PlainAnswer { text, length })) => {
            let text = PlainText {
                text: &text,
                length,
            };
            let label = &hosts[index].label;
            let line = if is_several {
                format!("{label}: {text}\n")
            } else {
                format!("{text}\n")
            };
            if printed.is_ok() {
                printed = print(&line);
            }
        }
        Err(failure) => {
            note_of(&hosts[index].label, &failure.to_string());
            status = SOME_UNKNOWN;
        }
    };
    plain_send::send_plain(&hosts, datagram.as_bytes(), args.reply_wait, answered)?;
    printed?;
    Ok(status)
}

/// Returns the end of one of several targets in words, without the likely reasons if it has not answered.
fn words(end: &End, targets: usize) -> String {
    match end {
        End::Unreachable { note, .. } if targets > 1 => {
            let note = note.as_ref().map(|note| format!(": {note}"));
            format!("{}{}", no_answer(true), note.unwrap_or_default())
        }
        end => end.to_string(),
    }
}

/// Returns the class under which a message is counted.
const fn fate(delivered: &Result<u32, End>) -> Fate {
    match delivered {
        Ok(_) => Fate::Ok,
        Err(End::Left) => Fate::Left,
        Err(End::Denied | End::Refused(_)) => Fate::Denied,
        Err(End::Unreachable { .. } | End::Full) => Fate::Unreachable,
        Err(End::Lost | End::PutOut | End::ByPeer(_) | End::Violation(_) | End::LineTooLong) => {
            Fate::Lost
        }
    }
}

/// Returns the message: the words as typed, or all of stdin without its last line break.
fn text(args: &SendArgs) -> Result<String> {
    let most = match (args.plain, args.no_newline) {
        (true, true) => PLAIN,
        (true, false) => PLAIN - 1,
        (false, _) => CHAT_TEXT,
    };
    let mut text = args.text.join(" ");
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
