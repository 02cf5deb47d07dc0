//! `udpctl` as typed.
//!
//! Only definitions; what the commands do stands in the modules below, one for each family.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::time::Duration;

use super::duration;
use crate::crypto::PublicKey;
use crate::message::{OnDisconnect, RequestId};
use crate::net::Target;

/// Run commands on other machines over UDP, and get the true result back
#[derive(Parser, Debug)]
#[command(
    name = "udpctl",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Ctl {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a command on one host, or on many at once
    Exec(ExecArgs),
    /// Ask whether agents answer, and how fast
    Ping(PingArgs),
    /// Accept an invitation that "udpagent invite" printed
    Accept(AcceptArgs),
    /// Trust an agent's key
    Trust(TrustArgs),
    /// Print this controller's public key
    Id,
}

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

/// `udpctl exec`
#[derive(Args, Debug)]
pub struct ExecArgs {
    /// Where: host, host:port, [v6]:port; several: all of them at once
    #[arg(value_name = "TARGET", required_unless_present = "local")]
    pub targets: Vec<Target>,
    /// The program and its arguments, each passed on exactly
    #[arg(value_name = "ARGV", last = true, required_unless_present = "shell")]
    pub argv: Vec<OsString>,
    #[command(flatten)]
    pub contact: Contact,
    /// Pass standard input on; without this it is not read
    #[arg(short = 'i', long = "stdin")]
    pub stdin: bool,
    /// Run TEXT with /bin/sh; ARGV become its $1, $2 and so on
    #[arg(long, value_name = "TEXT")]
    pub shell: Option<OsString>,
    /// End the command after so long
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Set a variable in the command's environment
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = clap::builder::OsStringValueParser::new())]
    pub env: Vec<OsString>,
    /// Run in this directory instead of the home directory
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<OsString>,
    /// Print one JSON object for each host instead of the output
    #[arg(long)]
    pub json: bool,
    /// Print what hosts write as it comes, with all its control characters, also with several of them
    #[arg(long)]
    pub raw: bool,
    /// The request's id, 32 hexadecimal digits; the same command under the same id is run once
    #[arg(long, value_name = "ID")]
    pub id: Option<RequestId>,
    /// Leave when the command runs; it goes on, and its output is kept for "udpctl attach"
    #[arg(long, conflicts_with_all = ["stdin", "json"])]
    pub detach: bool,
    /// What becomes of the command when this controller is gone
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "kill",
        default_value_if("detach", "true", "keep")
    )]
    pub on_disconnect: Gone,
    /// How long the controller may be silent before it counts as gone
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s",
          env = "UDPCTL_LEASE", hide_env_values = true)]
    pub lease: Duration,
    /// Say on standard error how the command ended, also when it went well
    #[arg(short, long)]
    pub verbose: bool,
}

/// What becomes of a command whose controller is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Gone {
    /// It is ended when the lease runs out
    Kill,
    /// It goes on, and its output is kept
    Keep,
}

impl From<Gone> for OnDisconnect {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Kill => Self::Kill,
            Gone::Keep => Self::Keep,
        }
    }
}

/// `udpctl ping`
#[derive(Args, Debug)]
pub struct PingArgs {
    /// Whom: host, host:port, [v6]:port
    #[arg(value_name = "TARGET", required_unless_present = "local")]
    pub targets: Vec<Target>,
    #[command(flatten)]
    pub contact: Contact,
}

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
