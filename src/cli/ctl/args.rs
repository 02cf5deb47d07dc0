//! Groups of options that several subcommands of `udpctl` share.
//!
//! Definitions only; help, manual page and completions are made from them.

use std::time::Duration;

use clap::Args;

use crate::duration;

/// Time limit for the first answer of an agent.
#[derive(Args, Debug)]
pub struct ContactTimeout {
    /// Give up if the agent does not answer within TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// Choice between the agents of other hosts and one inside this process.
#[derive(Args, Debug)]
pub struct Contact {
    /// Start an agent inside this process, with throw-away keys, and talk to it over real UDP
    #[arg(long)]
    pub local: bool,
    /// Time limit of the first answer.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}
