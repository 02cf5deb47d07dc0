//! `udpctl accept` and `trust` as typed.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

use std::time::Duration;

use clap::Args;

use crate::crypto::PublicKey;
use crate::duration;
use crate::net::Target;

/// `udpctl accept`
#[derive(Args, Debug)]
pub struct AcceptArgs {
    /// HOST:PORT#KEY#TOKEN, or "-" to read it from standard input
    #[arg(value_name = "INVITE")]
    pub invite: String,
    /// What the agent is to call this controller [default: USER@HOST]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Replace the key that is known for this host
    #[arg(long)]
    pub replace: bool,
    /// How long an agent that does not answer is waited for
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// `udpctl trust`
#[derive(Args, Debug)]
pub struct TrustArgs {
    /// Whose key it is: host, host:port, [v6]:port
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// The key, as "udpagent key" prints it there
    #[arg(value_name = "KEY")]
    pub key: PublicKey,
    /// Replace the key that is known for this host
    #[arg(long)]
    pub replace: bool,
}
