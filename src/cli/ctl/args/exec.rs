//! `udpctl exec` as typed.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts, in which brackets belong to addresses"
)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PathBufValueParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::Contact;
use crate::duration;
use crate::message::signal::signal_number;
use crate::message::{OnDisconnect, RequestId};
use crate::net::Target;

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
    #[arg(value_name = "ARGV", last = true, required_unless_present_any = ["shell", "script"])]
    pub argv: Vec<OsString>,
    /// How the agents are reached.
    #[command(flatten)]
    pub contact: Contact,
    /// Pass standard input on; without this it is not read
    #[arg(short = 'i', long = "stdin")]
    pub stdin: bool,
    /// Give it a terminal, for programs that a person sits at; with one host only
    #[arg(short, long, conflicts_with_all = ["json"])]
    pub terminal: bool,
    /// Run TEXT with /bin/sh; ARGV become its $1, $2 and so on
    #[arg(long, value_name = "TEXT")]
    pub shell: Option<OsString>,
    /// Run the script FILE of this machine there, without leaving a file; ARGV become its arguments
    #[arg(long, value_name = "FILE", conflicts_with = "shell",
          value_parser = PathBufValueParser::new().try_map(script))]
    pub script: Option<PathBuf>,
    /// End the command after so long
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Set a variable in the command's environment
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(variable))]
    pub env: Vec<(OsString, OsString)>,
    /// Run in this resolver instead of the home resolver
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<OsString>,
    /// Run as this user of the agent's host, if the agent lets this key
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Print one JSON object for each host instead of the output
    #[arg(long)]
    pub json: bool,
    /// Print what hosts write as it comes, with all its control characters, also with several of them
    #[arg(long)]
    pub raw: bool,
    /// Pass these signals on to the command instead of canceling it: HUP, INT, QUIT, TERM, USR1, USR2
    #[arg(long, value_name = "SIGNAL", value_delimiter = ',', value_parser = forwarded)]
    pub forward: Vec<i32>,
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

/// Standard input is the command's, or nobody's.
fn script(path: PathBuf) -> Result<PathBuf, &'static str> {
    if path.as_os_str() == "-" {
        return Err("a script on standard input is run by \"-i -- sh -s\"");
    }
    Ok(path)
}

/// Those that may be passed on.
const FORWARDED: [i32; 6] = [SIGHUP, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGINT];

fn forwarded(text: &str) -> Result<i32, &'static str> {
    signal_number(text)
        .filter(|number| FORWARDED.contains(number))
        .ok_or("HUP, INT, QUIT, TERM, USR1 and USR2 can be forwarded")
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
    use clap::Parser as _;

    use super::*;
    use crate::cli::ctl::{Command, Ctl};

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
