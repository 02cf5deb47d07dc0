//! `udpctl ssh`: a command on one host by the command line of ssh(1), for programs that run ssh.
//!
//! The line is parsed here and becomes what `udpctl exec` takes; nothing else runs commands. It is also the program's line if
//! that is called `ssh` or `udpctl-ssh`. Invariant: an option either means what it means in ssh(1), or changes nothing
//! here, or is refused in words.

mod command_line;
mod keywords;
mod options;
mod remote;
mod request;
mod words;

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use clap::Args;

use self::command_line::{CommandLine, Query, USAGE};
pub use self::remote::login;
use self::request::{Request, configuration};
use super::background::{self, Background, empty_stdin};
use super::context::{note, print};
use super::exec;

const EXAMPLES: &str = "\
Examples:
  udpctl ssh web1 uptime
  udpctl ssh -p 7001 ann@web1
  tar c . | udpctl ssh web1 tar x -C /srv/site
  rsync -a -e 'udpctl ssh' site/ web1:/srv/site/
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

/// Returns the arguments if the command line is one of `udpctl ssh`, whose words clap does not parse, except `--help`.
pub fn args(words: &[OsString]) -> Option<SshArgs> {
    match words {
        [_, subcommand, rest @ ..]
            if subcommand == "ssh" && rest.first().is_none_or(|first| first != "--help") =>
        {
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
        Some(Query::Configuration) => {
            print(&configuration(&line)?)?;
            return Ok(0);
        }
        None => {}
    }
    let mut request = Request::of(&line)?;
    if request.lacks_terminal && !is_background {
        note(
            "udpctl: the command has no terminal, because standard input is not one; -tt gives it one",
        );
    }
    if line.options.background() && !is_background {
        let own = ["ssh", IN_BACKGROUND].map(OsString::from);
        return background::start(own.iter().chain(words));
    }
    if is_background {
        request.exec.caller.background = Some(Background::inherited()?);
    } else if line.options.stdin_null() {
        empty_stdin()?;
    }
    exec::run(&request.exec)
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
        assert!(named(&["udpctl-ssh", "--help"]).is_none());
    }
}
