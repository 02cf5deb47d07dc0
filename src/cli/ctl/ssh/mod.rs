//! `udpctl ssh`: a command on one host by the command line of ssh(1), for programs that run ssh.
//!
//! The line is parsed here and becomes what `udpctl exec` takes; nothing else runs commands. It is also the program's line if
//! that is called `ssh` or `udpctl-ssh`. Invariant: an option either means what it means in ssh(1), or changes nothing
//! here, or is refused in words.

mod command_line;
mod forwarding;
mod forwards;
mod keywords;
mod next;
mod options;
mod port;
mod remote;
mod request;
mod words;

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use clap::{Args, CommandFactory as _};
use crossbeam_channel::Receiver;

pub use self::next::{Next, next};

use self::command_line::{CommandLine, Query, USAGE};
use self::forwarding::{Bound, Forwarding, forward_stdio};
pub use self::remote::login;
use self::request::{Request, configuration, target};
use super::background::{self, Background, empty_stdin};
use super::context::{note, print};
use super::{Ctl, exec};
use crate::control::signals;
use crate::message::status::UDPCTL_FAILURE;

const EXAMPLES: &str = "\
Examples:
  udpctl ssh web1 uptime
  udpctl ssh -p 7001 ann@web1
  tar c . | udpctl ssh web1 tar x -C /srv/site
  rsync -a -e 'udpctl ssh' site/ web1:/srv/site/
  udpctl ssh -N -L 5432:localhost:5432 web1
  GIT_SSH_COMMAND='udpctl ssh' git clone web1:src/site.git";

/// `udpctl ssh`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct SshArgs {
    /// Options of ssh, the host, and the command, whose words are joined by spaces and given to the login shell
    #[arg(
        value_name = "ARG",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<OsString>,
}

/// First word of the process in the background; no option of ssh.
const IN_BACKGROUND: &str = "--in-background";

/// Returns the command line of `udpctl` that a process was started with, which may be called by another name.
pub fn words(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_else(|| "udpctl".into());
    let name = Path::new(&program).file_name();
    let is_ssh = name.is_some_and(|name| name == "ssh" || name == "udpctl-ssh");
    let subcommand = is_ssh.then(|| "ssh".into());
    [program]
        .into_iter()
        .chain(subcommand)
        .chain(args)
        .collect()
}

/// Returns the arguments if the command line is one of `udpctl ssh`, whose words clap does not parse.
pub fn args(words: &[OsString]) -> Option<SshArgs> {
    match words {
        [_, subcommand, rest @ ..] if subcommand == "ssh" => {
            let words = rest.to_vec();
            Some(SshArgs { words })
        }
        _ => None,
    }
}

/// Runs the command and returns the exit status.
pub fn run(args: &SshArgs) -> Result<u8> {
    let (words, is_background) = match &*args.words {
        [first, rest @ ..] if first == IN_BACKGROUND => (rest, true),
        words => (words, false),
    };
    let line = CommandLine::parse(words)?;
    match line.query {
        Some(Query::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            note(&format!(
                "udpctl {version}, with the command line of OpenSSH"
            ));
            return Ok(0);
        }
        Some(Query::Help) => {
            print(&help())?;
            return Ok(0);
        }
        Some(Query::Configuration) => {
            print(&configuration(&line)?)?;
            return Ok(0);
        }
        None => {}
    }
    if line.options.has_no_command() {
        return forward_only(&line, words, is_background);
    }
    let mut request = Request::of(&line)?;
    if request.lacks_terminal && !is_background {
        note(
            "udpctl: the command has no terminal, because standard input is not one; -tt gives it one",
        );
    }
    if line.options.background() && !is_background {
        return start_in_background(words);
    }
    let forwarding = forward_beside(&line)?;
    if is_background {
        request.exec.caller.background = Some(Background::inherited()?);
    } else if line.options.stdin_null() {
        empty_stdin()?;
    }
    let Some((forwarding, signals)) = forwarding else {
        return exec::run(&request.exec);
    };
    let status = exec::run(&request.exec)?;
    // As in ssh, connections that are open go on.
    forwarding.drain();
    forwarding.wait(&signals)?;
    Ok(status)
}

/// Returns the help of the subcommand.
fn help() -> String {
    let mut command = Ctl::command();
    command.build();
    let own = command.find_subcommand_mut("ssh");
    let own = own.expect("it is a subcommand of udpctl");
    own.render_help().to_string()
}

/// Starts this process again in the background, with the same words.
fn start_in_background(words: &[OsString]) -> Result<u8> {
    let own = ["ssh", IN_BACKGROUND].map(OsString::from);
    background::start(own.iter().chain(words))
}

/// Serves the forwarded connections of a line without a command.
fn forward_only(line: &CommandLine, words: &[OsString], is_background: bool) -> Result<u8> {
    let options = &line.options;
    if let Some(to) = &options.stdio {
        if options.stdin_null() {
            empty_stdin()?;
        }
        return forward_stdio(options, &target(line)?, to.clone());
    }
    if options.background() && !is_background {
        return start_in_background(words);
    }
    let background = is_background.then(Background::inherited).transpose()?;
    let signals = signals::catch(&[])?;
    let bound = Bound::of(options)?;
    if bound.is_empty() {
        return Ok(UDPCTL_FAILURE);
    }
    let forwarding = Forwarding::start(options, &target(line)?, bound, Vec::new())?;
    if let Some(background) = background {
        background.detach();
    }
    forwarding.wait(&signals)
}

/// Begins to serve the forwarded connections of a line beside its command, if there are any.
fn forward_beside(line: &CommandLine) -> Result<Option<(Forwarding, Receiver<i32>)>> {
    let options = &line.options;
    if options.forwards().is_empty() {
        return Ok(None);
    }
    let bound = Bound::of(options)?;
    if bound.is_empty() {
        return Ok(None);
    }
    let signals = signals::catch(&[])?;
    let forwarding = Forwarding::start(options, &target(line)?, bound, Vec::new())?;
    Ok(Some((forwarding, signals)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &[&str]) -> Option<Vec<OsString>> {
        let words = words(line.iter().map(OsString::from));
        args(&words).map(|args| args.words)
    }

    #[test]
    fn a_program_called_ssh_has_the_command_line_of_udpctl_ssh() {
        for program in ["ssh", "/opt/bin/udpctl-ssh", "./ssh"] {
            let words = named(&[program, "-p", "7", "h"]).unwrap();
            assert_eq!(words, ["-p", "7", "h"], "{program}");
        }
        assert_eq!(named(&["udpctl", "ssh", "--", "h"]).unwrap(), ["--", "h"]);
        assert!(named(&["udpctl", "exec", "ssh"]).is_none());
        assert!(named(&["/ssh/udpctl", "jobs"]).is_none());
        assert_eq!(named(&["udpctl-ssh", "--help"]).unwrap(), ["--help"]);
    }
}
