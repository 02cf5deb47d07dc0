//! The options of each command of `udpctl`: definitions only, from which help, man page and completions
//! are made.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

mod exec;
mod job;
mod talk;
mod trust;

pub use exec::ExecArgs;
pub use job::{AttachArgs, JobArgs, JobsArgs, KillArgs, WaitArgs};
pub use talk::{ChatArgs, SendArgs};
pub use trust::{AcceptArgs, TrustArgs};

use std::time::Duration;

use clap::Args;

use crate::cli::ctl::explain::Word;
use crate::duration;
use crate::net::Target;

/// Who is talked to, and how long is waited.
#[derive(Args, Debug)]
pub struct Contact {
    /// Start an agent inside this process, with throw-away keys, and talk to it over real UDP
    #[arg(long)]
    pub local: bool,
    /// How long an agent that does not answer is waited for
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// `udpctl ping`
#[derive(Args, Debug)]
pub struct PingArgs {
    /// Whom: host, host:port, [v6]:port
    #[arg(
        value_name = "TARGET",
        required_unless_present = "local",
        conflicts_with = "local"
    )]
    pub targets: Vec<Target>,
    /// How the agents are reached.
    #[command(flatten)]
    pub contact: Contact,
}

/// `udpctl explain`
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A number such as 137, or a name such as lost
    #[arg(value_name = "STATUS")]
    pub what: Word,
}

/// `udpctl completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}
