//! `udpagent` as typed.
//!
//! Only definitions; what the commands do stands in the modules below.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::failure;
use crate::agent::config::{Layer, LogFormat, Switch};
use crate::agent::plain::ReplyTemplate;
use crate::net::Bind;

mod check;
mod files;
mod serve;

/// Run commands for authorised controllers over UDP, and chat with whoever is allowed to
#[derive(Parser, Debug)]
#[command(
    name = "udpagent",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
pub struct AgentLine {
    /// How it runs.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// `udpagent`
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Listen here: :PORT, HOST:PORT, [V6]:PORT; may be given several times [default: :7000]
    #[arg(
        short,
        long,
        value_name = "ADDR",
        env = "UDPAGENT_BIND",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub bind: Vec<Bind>,
    /// Read this configuration file instead of the usual one
    #[arg(
        long,
        value_name = "FILE",
        env = "UDPAGENT_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// The agent's name in chats [default: the host's]
    #[arg(
        long,
        value_name = "NAME",
        env = "UDPAGENT_NAME",
        hide_env_values = true
    )]
    pub name: Option<String>,
    /// Answer plain text by this template, in which {text} stands for it
    #[arg(
        long,
        value_name = "TEMPLATE",
        env = "UDPAGENT_REPLY",
        hide_env_values = true
    )]
    pub reply: Option<ReplyTemplate>,
    /// Run no commands
    #[arg(long)]
    pub no_exec: bool,
    /// Take no plain text
    #[arg(long, conflicts_with = "reply")]
    pub no_plain: bool,
    /// Leave running commands alone when the agent ends
    #[arg(long)]
    pub keep_jobs: bool,
    /// How the log on standard error is written
    #[arg(
        long,
        value_name = "FORMAT",
        env = "UDPAGENT_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<Format>,
    /// Log sessions and commands; twice: more
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print a command that lets another controller in; good once, for ten minutes
    Invite(InviteArgs),
    /// Print this agent's public key
    Key,
    /// Say what the files of this agent let whom do, and what is wrong with them
    Check(CheckArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

/// `udpagent invite`
#[derive(Args, Debug)]
pub struct InviteArgs {
    /// What restricts the invited key, as in authorized_keys: chat-only, "allow=uname -a"
    #[arg(value_name = "OPTION")]
    pub options: Vec<String>,
    /// Where the controller reaches this agent: HOST or HOST:PORT [default: the address of this
    /// ssh session, or the host's name; the port of the running agent]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Read this configuration file instead of the usual one
    #[arg(
        long,
        value_name = "FILE",
        env = "UDPAGENT_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
}

/// `udpagent check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Only this key, by itself or by its name
    #[arg(value_name = "KEY")]
    pub who: Option<String>,
    /// Whether it may run this; exit status 0: yes, 1: no
    #[arg(value_name = "ARGV", last = true, requires = "who")]
    pub argv: Vec<OsString>,
    /// As this user, as with udpctl exec --user
    #[arg(long, value_name = "NAME", requires = "argv")]
    pub user: Option<String>,
    /// From this address
    #[arg(long, value_name = "ADDRESS", requires = "who")]
    pub from: Option<IpAddr>,
    /// Read this configuration file instead of the usual one
    #[arg(
        long,
        value_name = "FILE",
        env = "UDPAGENT_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
}

/// `udpagent completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

impl ServeArgs {
    /// What the flags and the environment say.
    fn layer(&self) -> Layer {
        Layer {
            bind: (!self.bind.is_empty()).then(|| self.bind.clone()),
            name: self.name.clone(),
            reply: self.reply.clone(),
            exec: self.no_exec.then_some(Switch::Off),
            plain: self.no_plain.then_some(Switch::Off),
            keep_jobs: self.keep_jobs.then_some(Switch::On),
            log_format: self.log_format.map(|format| match format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            }),
            ..Layer::default()
        }
    }
}

/// `udpagent`: parses, runs, and turns the result into an exit status.
#[must_use]
pub fn main() -> ExitCode {
    failure::install("udpagent", failure::AGENT_FAILURE);
    super::memory::keep_private();
    let line = AgentLine::parse();
    let result = match &line.command {
        None => serve::serve(&line.serve),
        Some(Command::Invite(args)) => files::invite(args),
        Some(Command::Key) => files::key(),
        Some(Command::Check(args)) => check::check(args),
        Some(Command::Completions(args)) => {
            super::completions::print::<AgentLine>("udpagent", args.shell)
        }
    };
    let status = result.unwrap_or_else(|error| {
        eprintln!("udpagent: {error:#}");
        1
    });
    // At once: a thread that waits for the terminal does not hold it up.
    std::process::exit(status.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        AgentLine::command().debug_assert();
    }

    fn layer(line: &[&str]) -> Result<Layer, clap::Error> {
        let line = AgentLine::try_parse_from(["udpagent"].iter().chain(line))?;
        Ok(line.serve.layer())
    }

    #[test]
    fn flags_say_what_was_typed_and_nothing_else() {
        assert_eq!(layer(&[]).unwrap(), Layer::default());
        let layer = layer(&["-b", ":1", "--bind", "[::1]:2", "--no-exec", "--name", "n"]).unwrap();
        let binds: Vec<String> = layer.bind.unwrap().iter().map(Bind::to_string).collect();
        assert_eq!(binds, [":1", "[::1]:2"]);
        assert_eq!((layer.exec, layer.plain), (Some(Switch::Off), None));
        assert_eq!(layer.name.as_deref(), Some("n"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["--bind", "nonsense:x"][..],
            &["--reply", "{text}"],
            &["--reply", "OK {text}", "--no-plain"],
            &["--no-exec", "key"],
            &["surplus"],
        ] {
            assert!(layer(line).is_err(), "{line:?}");
        }
    }
}
