//! `udpctl jobs`, `attach`, `wait` and `kill` as typed.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

use std::time::Duration;

use clap::Args;

use crate::cli::ctl::job::JobPrefix;
use crate::duration;
use crate::message::signal::signal_number;
use crate::net::Target;

/// `udpctl jobs`
#[derive(Args, Debug)]
pub struct JobsArgs {
    /// Where: host, host:port, [v6]:port
    #[arg(value_name = "TARGET", required_unless_present = "mine")]
    pub targets: Vec<Target>,
    /// List what was asked from here and has no result, also of agents that do not answer; without
    /// TARGET: everywhere
    #[arg(long)]
    pub mine: bool,
    /// Print one JSON object for each job
    #[arg(long)]
    pub json: bool,
    /// How long an agent that does not answer is waited for
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// Which job, and where.
#[derive(Args, Debug)]
pub struct JobArgs {
    /// Where: host, host:port, [v6]:port
    #[arg(value_name = "TARGET")]
    pub target: Target,
    /// The request's id, or as much of its beginning as tells it apart; nothing, if there is only one
    #[arg(value_name = "JOB")]
    pub job: Option<JobPrefix>,
    /// How long an agent that does not answer is waited for
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// `udpctl attach`
#[derive(Args, Debug)]
pub struct AttachArgs {
    /// Which.
    #[command(flatten)]
    pub job: JobArgs,
    /// Begin with this byte of both outputs [default: the first that was not yet written out]
    #[arg(long, value_name = "BYTE")]
    pub from: Option<u64>,
    /// Print one JSON object instead of the output
    #[arg(long)]
    pub json: bool,
    /// How long a silent agent is asked again
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s",
          env = "UDPCTL_LEASE", hide_env_values = true)]
    pub lease: Duration,
    /// Say on standard error how the command ended, also when it went well
    #[arg(short, long)]
    pub verbose: bool,
}

/// `udpctl wait`
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// Which.
    #[command(flatten)]
    pub job: JobArgs,
}

/// `udpctl kill`
#[derive(Args, Debug)]
pub struct KillArgs {
    /// Which.
    #[command(flatten)]
    pub job: JobArgs,
    /// The signal: a name or a number
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "TERM")]
    pub signal: i32,
}

fn signal(text: &str) -> Result<i32, &'static str> {
    signal_number(text).ok_or("no signal is called that")
}
