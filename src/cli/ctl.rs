//! `udpctl` as typed.
//!
//! The commands; their options stand in `args`, and what they do in the modules below, one for each family.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use super::failure;
use crate::message::status::{INTERNAL, UDPCTL_FAILURE};
use args::{
    AcceptArgs, AttachArgs, ChatArgs, CompletionsArgs, ExecArgs, ExplainArgs, JobsArgs, KillArgs,
    PingArgs, SendArgs, TrustArgs, WaitArgs,
};

mod args;
mod ask;
mod context;
mod exec;
mod explain;
mod job;
mod jobs;
mod local;
mod mine;
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
    /// Explain an exit status, or the name of an outcome
    Explain(ExplainArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

/// `udpctl`: parses, runs, and turns the result into an exit status.
#[must_use]
pub fn main() -> ExitCode {
    super::memory::keep_private();
    let ctl = Ctl::parse();
    let failed = match &ctl.command {
        Command::Exec(_) | Command::Attach(_) | Command::Wait(_) | Command::Chat(_) => {
            UDPCTL_FAILURE
        }
        Command::Jobs(_)
        | Command::Kill(_)
        | Command::Send(_)
        | Command::Ping(_)
        | Command::Accept(_)
        | Command::Trust(_)
        | Command::Id
        | Command::Explain(_)
        | Command::Completions(_) => INTERNAL,
    };
    failure::install("udpctl", failed);
    let status = run(&ctl.command).unwrap_or_else(|error| {
        context::note(&format!("udpctl: {error:#}"));
        failed
    });
    // At once: threads that wait for a terminal or a pipe do not hold it up.
    std::process::exit(status.into())
}

fn run(command: &Command) -> Result<u8> {
    match command {
        Command::Exec(args) => exec::exec(args),
        Command::Jobs(args) => jobs::jobs(args),
        Command::Attach(args) => job::attach(args),
        Command::Wait(args) => job::wait(args),
        Command::Kill(args) => job::kill(args),
        Command::Chat(args) => talk::chat(args),
        Command::Send(args) => talk::send(args),
        Command::Ping(args) => ask::ping(args),
        Command::Accept(args) => ask::accept(args),
        Command::Trust(args) => trust::trust(args),
        Command::Id => trust::id(),
        Command::Explain(args) => explain::explain(args),
        Command::Completions(args) => super::completions::print::<Ctl>("udpctl", args.shell),
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
}
