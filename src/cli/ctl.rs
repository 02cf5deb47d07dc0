//! `udpctl` as typed.
//!
//! Only definitions; what the commands do stands in the modules below, one for each family.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::crypto::PublicKey;
use crate::duration;
use crate::message::outcome::signal_number;
use crate::message::{OnDisconnect, RequestId};
use crate::net::Target;
use job::JobPrefix;

mod ask;
mod context;
mod exec;
mod job;
mod local;
mod talk;
mod trust;

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
    /// List the commands that agents run or keep the results of
    Jobs(JobsArgs),
    /// Take over a command that runs or ran: its output, and its status
    Attach(AttachArgs),
    /// Wait for the end of a command and exit as it did
    Wait(WaitArgs),
    /// Send a signal to a command
    Kill(KillArgs),
    /// Chat with the people and scripts at an agent
    Chat(ChatArgs),
    /// Send one message to the chats of agents
    Send(SendArgs),
    /// Ask whether agents answer, and how fast
    Ping(PingArgs),
    /// Accept an invitation that "udpagent invite" printed
    Accept(AcceptArgs),
    /// Trust an agent's key
    Trust(TrustArgs),
    /// Print this controller's public key
    Id,
    /// Print completions for a shell
    Completions(CompletionsArgs),
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
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ExecArgs {
    /// Where: host, host:port, [v6]:port; several: all of them at once
    #[arg(
        value_name = "TARGET",
        required_unless_present = "local",
        conflicts_with = "local"
    )]
    pub targets: Vec<Target>,
    /// The program and its arguments, each passed on exactly
    #[arg(value_name = "ARGV", last = true, required_unless_present = "shell")]
    pub argv: Vec<OsString>,
    /// How the agents are reached.
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
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(variable))]
    pub env: Vec<(OsString, OsString)>,
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

/// `udpctl jobs`
#[derive(Args, Debug)]
pub struct JobsArgs {
    /// Where: host, host:port, [v6]:port
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Target>,
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
    /// Begin with this byte of both outputs [default: the first that was not yet written out anywhere]
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

/// `udpctl completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `udpctl`: parses, runs, and turns the result into an exit status.
#[must_use]
pub fn main() -> ExitCode {
    let ctl = Ctl::parse();
    let (result, failed) = match &ctl.command {
        Command::Exec(args) => (exec::exec(args), exec::OURS),
        Command::Attach(args) => (job::attach(args), exec::OURS),
        Command::Wait(args) => (job::wait(args), exec::OURS),
        Command::Chat(args) => (talk::chat(args), exec::OURS),
        command => (run(command), 1),
    };
    let status = result.unwrap_or_else(|error| {
        context::note(&format!("udpctl: {error:#}"));
        failed
    });
    // At once: threads that wait for a terminal or a pipe do not hold it up.
    std::process::exit(status.into())
}

fn run(command: &Command) -> Result<u8> {
    match command {
        Command::Exec(args) => exec::exec(args),
        Command::Jobs(args) => job::jobs(args),
        Command::Attach(args) => job::attach(args),
        Command::Wait(args) => job::wait(args),
        Command::Kill(args) => job::kill(args),
        Command::Chat(args) => talk::chat(args),
        Command::Send(args) => talk::send(args),
        Command::Ping(args) => ask::ping(args),
        Command::Accept(args) => ask::accept(args),
        Command::Trust(args) => trust::trust(args),
        Command::Id => trust::id(),
        Command::Completions(args) => super::completions::print::<Ctl>("udpctl", args.shell),
    }
}

fn signal(text: &str) -> Result<i32, &'static str> {
    signal_number(text).ok_or("no signal is called that")
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "clap hands over what it owns"
)]
fn variable(text: OsString) -> Result<(OsString, OsString), &'static str> {
    let bytes = text.as_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        None | Some(0) => Err("write NAME=VALUE"),
        Some(end) => Ok((
            OsStr::from_bytes(&bytes[..end]).to_owned(),
            OsStr::from_bytes(&bytes[end + 1..]).to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Ctl::command().debug_assert();
    }

    fn exec(line: &[&str]) -> Result<ExecArgs, clap::Error> {
        let ctl = Ctl::try_parse_from(["udpctl", "exec"].iter().chain(line))?;
        match ctl.command {
            Command::Exec(args) => Ok(args),
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn what_stands_behind_the_dashes_is_the_command() {
        let args = exec(&["web1", "[::1]:7001", "--", "ls", "-l", "--", "x"]).unwrap();
        assert_eq!(args.targets.len(), 2);
        assert_eq!(args.argv, ["ls", "-l", "--", "x"]);
        assert!(exec(&["web1"]).is_err());
        assert!(exec(&["--", "ls"]).is_err());
        assert!(exec(&["--local", "--", "ls"]).is_ok());
        assert!(exec(&["web1", "--shell", "ls | wc"]).is_ok());
    }

    #[test]
    fn a_detached_command_is_kept() {
        let args = exec(&["web1", "--detach", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Keep);
        let args = exec(&["web1", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Kill);
    }

    #[test]
    fn variables_are_split_at_the_first_equals_sign() {
        let args = exec(&["web1", "--env", "A=b=c", "--env", "E=", "--", "env"]).unwrap();
        assert_eq!(
            args.env,
            [("A".into(), "b=c".into()), ("E".into(), "".into())]
        );
        assert!(exec(&["web1", "--env", "A", "--", "env"]).is_err());
        assert!(exec(&["web1", "--env", "=b", "--", "env"]).is_err());
    }
}
