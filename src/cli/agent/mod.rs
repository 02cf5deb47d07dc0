//! `udpagent`: the agent and its subcommands, one module each, and the way from the command line to the exit
//! status.

mod candidates;
mod check;
mod completions;
mod files;
mod host_accounts;
mod invite;
mod key;
mod keys;
mod local;
mod owner;
mod reload;
mod revoke;
mod serve;
mod serve_args;
mod status;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::check::CheckArgs;
use self::completions::CompletionsArgs;
use self::files::Files;
use self::invite::InviteArgs;
use self::key::KeyArgs;
use self::keys::KeysArgs;
use self::reload::ReloadArgs;
use self::revoke::RevokeArgs;
use self::serve_args::ServeArgs;
use self::status::StatusArgs;
use super::{completions as shells, failure, local_agent, memory, output};
use crate::agent::ipc::FRONT;
use crate::agent::sandbox::{PROBE, probe_main};
use crate::agent::supervisor::chat_history::writer;
use crate::agent::supervisor::handover::{LAUNCHER, TRIAL, launch};
use crate::agent::supervisor::{guard, policy_worker, typed_lines};
use crate::agent::{bot, front, recorder, services};
use crate::message::status::{AGENT_FAILURE, INTERNAL, SUCCESS};

const EXAMPLES: &str = "\
Examples:
  udpagent
  udpagent --bind 127.0.0.1:7000 --no-plain
  udpagent --bind :7000 --reply 'OK...{text}'
  udpagent --on-message uptime";

/// Run commands for authorised controllers over UDP, and host a chat
#[derive(Parser, Debug)]
#[command(
    name = "udpagent",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES
)]
pub struct AgentLine {
    /// Options of the agent itself.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// A subcommand instead of the agent.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print a command that authorises one other controller; it is valid once, for ten minutes
    Invite(InviteArgs),
    /// Print this agent's public key
    Key(KeyArgs),
    /// Check the configuration and show what each key may do
    Check(CheckArgs),
    /// Show the state and the counters of the running agent
    Status(StatusArgs),
    /// List the keys that may connect, their options, sessions and last use
    Keys(KeysArgs),
    /// Let the running agent load its files again and replace its program; commands go on
    Reload(ReloadArgs),
    /// Remove a key from authorized_keys; its sessions and commands end
    Revoke(RevokeArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

/// Parses the command line, runs the agent or a subcommand, and turns the result into an exit status.
#[must_use]
pub fn main() -> ExitCode {
    failure::install("udpagent", AGENT_FAILURE);
    let mut args = std::env::args_os();
    if args.next().is_some_and(|name| name == recorder::NAME) {
        return recorder::program::main(args);
    }
    if std::env::args_os()
        .next()
        .is_some_and(|name| name == guard::NAME)
    {
        return guard::main();
    }
    let args: Vec<_> = std::env::args_os().collect();
    if args.first().is_some_and(|name| name == services::NAME) {
        return services::main(&args).into();
    }
    memory::keep_private();
    match std::env::args_os().next() {
        Some(name) if name == LAUNCHER => {
            if let Err(error) = launch(std::env::args_os().skip(1)) {
                println!("{error}");
            }
            return ExitCode::SUCCESS;
        }
        Some(name) if name == FRONT => std::process::exit(front::main().into()),
        Some(name) if name == bot::NAME => {
            std::process::exit(bot::main(std::env::args_os().skip(1)).into())
        }
        Some(name) if name == local_agent::NAME => std::process::exit(local::main(&args).into()),
        Some(name) if name == PROBE => std::process::exit(probe_main().into()),
        Some(name) if name == policy_worker::NAME => std::process::exit(work().into()),
        Some(name) if name == writer::NAME => {
            let done = writer::main(&args).is_ok();
            std::process::exit(if done { SUCCESS } else { INTERNAL }.into());
        }
        Some(name) if name == typed_lines::NAME => {
            let done = typed_lines::main(&args).is_ok();
            std::process::exit(if done { SUCCESS } else { INTERNAL }.into());
        }
        _ => {}
    }
    if let Some(status) = shells::answer::<AgentLine>(&candidates::UDPAGENT) {
        std::process::exit(status.into());
    }
    let line = AgentLine::parse();
    let is_trial = std::env::args_os().next().is_some_and(|name| name == TRIAL);
    let result = match (is_trial, &line.command) {
        (true, None) => serve::try_takeover(&line.serve),
        (true, Some(_)) | (false, _) => run(&line),
    };
    let status = result.unwrap_or_else(|error| {
        output::note(&format!("udpagent: {error:#}"));
        INTERNAL
    });
    // At once: a thread that waits for the terminal must not delay it.
    std::process::exit(status.into())
}

/// Does a task of the agent that concerns the files of the policy. The agent reports a failure.
fn work() -> u8 {
    let files = Files::locate();
    let done = files.is_ok_and(|files| policy_worker::main(&files.sources()).is_ok());
    if done { SUCCESS } else { INTERNAL }
}

fn run(line: &AgentLine) -> Result<u8> {
    match &line.command {
        None => serve::run(&line.serve),
        Some(Command::Invite(args)) => invite::run(args),
        Some(Command::Key(args)) => key::run(args),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Status(args)) => status::run(args),
        Some(Command::Keys(args)) => keys::run(args),
        Some(Command::Reload(args)) => reload::run(args),
        Some(Command::Revoke(args)) => revoke::run(args),
        Some(Command::Completions(args)) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_clap_definition_of_udpagent_is_consistent() {
        AgentLine::command().debug_assert();
    }
}
