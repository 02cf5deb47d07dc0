//! `udpctl`: its subcommands, one module each, and the way from the command line to the exit status.

mod accept;
mod agent_program;
mod args;
mod attach;
mod background;
pub mod batch;
mod bootstrap;
mod candidates;
mod chat;
mod completions;
mod context;
mod cp;
mod doctor;
mod exec;
mod explain;
mod family;
mod fleet;
mod id;
mod job;
mod job_set;
mod jobs;
mod kill;
mod local;
mod man;
mod ping;
mod reply;
mod send;
mod shell;
mod ssh;
mod targets;
mod trust;
mod unanswered;
mod usage;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::accept::AcceptArgs;
use self::attach::AttachArgs;
use self::batch::BatchArgs;
use self::bootstrap::BootstrapArgs;
use self::chat::ChatArgs;
use self::completions::CompletionsArgs;
use self::cp::CpArgs;
use self::doctor::DoctorArgs;
use self::exec::ExecArgs;
use self::explain::ExplainArgs;
use self::id::IdArgs;
use self::jobs::JobsArgs;
use self::kill::KillArgs;
use self::man::ManArgs;
use self::ping::PingArgs;
use self::send::SendArgs;
use self::shell::ShellArgs;
use self::ssh::SshArgs;
use self::targets::TargetsArgs;
use self::trust::TrustArgs;
use self::wait::WaitArgs;
use super::{completions as shells, failure, memory};
use crate::control::signals;
use crate::control::targets::TargetsError;
use crate::message::status::{INTERNAL, UDPCTL_FAILURE, USAGE};

/// Run commands on other machines over UDP and report their true results
#[derive(Parser, Debug)]
#[command(name = "udpctl", version, max_term_width = 100)]
pub struct Ctl {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a command on one or more hosts
    Exec(Box<ExecArgs>),
    /// Start a login shell on a terminal of a host, or come back to one that was left
    Shell(Box<ShellArgs>),
    /// Run a command, or a login shell, on one host by the command line of ssh
    Ssh(SshArgs),
    /// Copy files and directories to hosts or from them
    Cp(Box<CpArgs>),
    /// Run the commands of a file or a pipe, one JSON request a line, and print a JSON record for each
    Batch(BatchArgs),
    /// List commands that run at agents or whose results are kept there
    Jobs(JobsArgs),
    /// Attach to a command: print the rest of its output and exit with its status
    Attach(AttachArgs),
    /// Wait for a command to end and exit with its status
    Wait(WaitArgs),
    /// Send a signal to a command
    Kill(KillArgs),
    /// Join the chat of an agent
    Chat(ChatArgs),
    /// Send one message to the chats of one or more agents
    Send(SendArgs),
    /// Check that agents answer, and measure the round-trip time
    Ping(PingArgs),
    /// Check the way to an agent: name, route, port, keys, size of datagrams and round-trip time, one line each
    Doctor(DoctorArgs),
    /// Print the targets of sets, one a line; no host is contacted
    Targets(TargetsArgs),
    /// Accept an invitation from "udpagent invite": register this key there and trust the agent's key
    Accept(AcceptArgs),
    /// Install the agent on a host over ssh, start it, and accept its invitation
    Bootstrap(BootstrapArgs),
    /// Trust an agent's public key
    Trust(TrustArgs),
    /// Print this controller's public key
    Id(IdArgs),
    /// Explain an exit status or the name of an outcome
    Explain(ExplainArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Show the manual pages, or install them
    Man(ManArgs),
}

/// Parses the command line, runs the subcommand, and turns the result into an exit status.
#[must_use]
pub fn main() -> ExitCode {
    memory::keep_private();
    if let Some(status) = shells::answer::<Ctl>(&completions::UDPCTL) {
        std::process::exit(status.into());
    }
    let words = ssh::words(std::env::args_os());
    let parsed = match ssh::args(&words) {
        Some(args) => Ok(Ctl {
            command: Command::Ssh(args),
        }),
        None => Ctl::try_parse_from(kill::with_signal_option(words.clone())),
    };
    let ctl = match parsed {
        Ok(ctl) => ctl,
        Err(error) => refuse(&words, &error),
    };
    let failed = failure_status(&ctl.command);
    failure::install("udpctl", failed);
    let status = run(&ctl.command).unwrap_or_else(|error| {
        context::note(&format!("udpctl: {error:#}"));
        if error.is::<TargetsError>() {
            USAGE
        } else {
            failed
        }
    });
    signals::end_by_signal(status);
    // At once: threads that wait for a terminal or a pipe must not delay it.
    std::process::exit(status.into())
}

/// Ends the program with a hint where there is one, and clap's message otherwise; help is printed as such.
fn refuse(words: &[OsString], error: &clap::Error) -> ! {
    let Some(hint) = usage::hint(words.get(1..).unwrap_or_default(), error) else {
        error.exit();
    };
    context::note(&format!("udpctl: {hint}"));
    std::process::exit(USAGE.into())
}

fn run(command: &Command) -> Result<u8> {
    match command {
        Command::Exec(args) => exec::run(args),
        Command::Shell(args) => shell::run(args),
        Command::Ssh(args) => ssh::run(args),
        Command::Cp(args) => cp::run(args),
        Command::Batch(args) => batch::run(args),
        Command::Jobs(args) => jobs::run(args),
        Command::Attach(args) => attach::run(args),
        Command::Wait(args) => wait::run(args),
        Command::Kill(args) => kill::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Send(args) => send::run(args),
        Command::Ping(args) => ping::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Targets(args) => targets::run(args),
        Command::Accept(args) => accept::run(args),
        Command::Bootstrap(args) => bootstrap::run(args),
        Command::Trust(args) => trust::run(args),
        Command::Id(args) => id::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

/// Returns the exit status of a failure on this machine: one that no remote command returns by habit where the
/// status is otherwise the command's.
const fn failure_status(command: &Command) -> u8 {
    match command {
        Command::Exec(_)
        | Command::Shell(_)
        | Command::Ssh(_)
        | Command::Cp(_)
        | Command::Attach(_)
        | Command::Wait(_)
        | Command::Chat(_) => UDPCTL_FAILURE,
        Command::Batch(_)
        | Command::Jobs(_)
        | Command::Kill(_)
        | Command::Send(_)
        | Command::Ping(_)
        | Command::Doctor(_)
        | Command::Targets(_)
        | Command::Accept(_)
        | Command::Bootstrap(_)
        | Command::Trust(_)
        | Command::Id(_)
        | Command::Explain(_)
        | Command::Completions(_)
        | Command::Man(_) => INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_clap_definition_of_udpctl_is_consistent() {
        Ctl::command().debug_assert();
    }
}
