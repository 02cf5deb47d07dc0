//! `udpctl chat`: a conversation with the members of an agent's chat, or with plain-text peers.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use crossbeam_channel::Receiver;

use super::args::ContactTimeout;
use super::candidates;
use super::context::Context;
use super::unanswered::Unanswered;
use crate::cli::bot_args::BotArgs;
use crate::control::chat::{self, Format, PlainSource};
use crate::control::client::Client;
use crate::control::{limits, signals};
use crate::duration;
use crate::message::RoomName;
use crate::net::{Bind, Target};

const EXAMPLES: &str = "\
Examples:
  udpctl chat web1
  udpctl chat --name ann web1
  udpctl chat --room deploy web1
  uptime | udpctl chat --linger 5s web1
  udpctl chat --json --linger 1d web1 </dev/null
  udpctl chat --name clock --on-message date web1
  udpctl chat --plain localhost:7000";

/// `udpctl chat`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ChatArgs {
    /// Agent: HOST, HOST:PORT or [IPv6]:PORT; the default port is 7000
    #[arg(value_name = "TARGET", add = ArgValueCompleter::new(candidates::host))]
    pub target: Target,
    /// Ask to be called NAME; the agent decides [default: the name of this controller's key]
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    pub name: Option<String>,
    /// Join the room NAME, which is made if it does not exist [default: the room that all share]
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    pub room: Option<RoomName>,
    /// Exchange bare datagrams, for example with netcat: not encrypted, delivery unknown
    #[arg(long, conflicts_with = "on_message")]
    pub plain: bool,
    /// Send from ADDRESS or :PORT, for a peer that has to know it beforehand [default: any port]
    #[arg(long, value_name = "ADDRESS", requires = "plain")]
    pub bind: Option<Bind>,
    /// Wait for TIME for answers after the end of piped input [default: 0, or 1s with --plain]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub linger: Option<Duration>,
    /// Print messages and news as JSON, one object per line
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Show no time before messages on a terminal
    #[arg(long)]
    pub no_time: bool,
    /// The bot.
    #[command(flatten)]
    pub bot: BotArgs,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Chats until one side leaves.
pub fn run(args: &ChatArgs) -> Result<u8> {
    let signals = signals::catch_end(chat::signals())?;
    let mut context = Context::new()?;
    let target = context.target(&args.target)?;
    if args.plain {
        return plain(args, &target, &signals, context.home.chat_history());
    }
    let (client, resolver, host) = context.network_of_one(&target)?;
    let (label, is_met) = (target.label(), host.ticket.is_some());
    let unanswered = |is_refused| {
        let unanswered = Unanswered {
            label,
            is_met,
            is_refused,
        };
        unanswered.explain();
    };
    let options = chat::Options {
        name: args.name.clone(),
        room: args.room.clone(),
        contact_timeout: args.timeout.contact_timeout,
        linger: args.linger.unwrap_or(Duration::ZERO),
        format: if args.json {
            Format::Json
        } else {
            Format::Text
        },
        is_timed: !args.no_time,
        history: context.home.chat_history(),
        bot: args.bot.command(),
        signals: &signals,
        resolver: &resolver,
        unanswered: &unanswered,
    };
    let status = chat::chat(&client, host, &options)?;
    client.close();
    Ok(status)
}

/// Chats in plain text.
fn plain(
    args: &ChatArgs,
    target: &Target,
    signals: &Receiver<i32>,
    history: PathBuf,
) -> Result<u8> {
    let addresses = target.resolve()?;
    let binds = match &args.bind {
        Some(bind) => bind.resolve()?,
        None => Vec::new(),
    };
    let client = Client::open_plain(Box::new(PlainSource::new(&addresses)), &binds);
    let client = match &args.bind {
        Some(bind) => client.with_context(|| format!("cannot bind {bind}"))?,
        None => client?,
    };
    let paths = client.paths(&addresses)?;
    let options = chat::PlainOptions {
        signals,
        linger: args.linger.unwrap_or(limits::PLAIN_LINGER),
        is_timed: !args.no_time,
        history,
    };
    let status = chat::chat_plain(&client, paths, &options)?;
    client.close();
    Ok(status)
}
