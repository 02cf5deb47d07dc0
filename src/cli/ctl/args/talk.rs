//! `udpctl chat` and `send` as typed.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

use std::time::Duration;

use clap::Args;

use crate::duration;
use crate::net::Target;

/// `udpctl chat`
#[derive(Args, Debug)]
pub struct ChatArgs {
    /// Where: host, host:port, [v6]:port
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// The name to be called there; the agent decides [default: the name of the key]
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    pub name: Option<String>,
    /// Speak bare datagrams to anybody, for example netcat: unsealed, and delivery is not known
    #[arg(long)]
    pub plain: bool,
    /// How long an agent that does not answer is waited for
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// `udpctl send`
#[derive(Args, Debug)]
pub struct SendArgs {
    /// Where: host, host:port, [v6]:port; several: all of them at once
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Target>,
    /// The message, or "-" to read it from standard input
    #[arg(value_name = "TEXT", required = true)]
    pub text: String,
    /// Send a bare datagram, for example to netcat: unsealed, and delivery is not known
    #[arg(long)]
    pub plain: bool,
    /// How long an agent that does not answer is waited for
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}
