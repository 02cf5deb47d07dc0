//! Request of a command line of ssh(1): what `udpctl exec` is given instead.
//!
//! Reads the environment and looks at the terminal, and contacts nobody. Invariant: nothing of the command line is dropped that
//! would change the command, its host, its user or its streams.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdin};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::SIGUSR1;

use super::command_line::CommandLine;
use super::options::{LogLevel, Options, RequestTty, SessionType};
use super::remote;
use crate::cli::ctl::context::Context;
use crate::cli::ctl::exec::{ExecArgs, exec_args};
use crate::net::Target;
use crate::process::is_acceptable;

/// Variables that the agent sets from the user database; a request cannot change them, as with sshd(8).
const OF_ACCOUNT: &[&str] = &["HOME", "LOGNAME", "PATH", "SHELL", "USER"];

/// Request of a command line.
pub struct Request {
    /// Arguments of `udpctl exec`.
    pub exec: ExecArgs,
    /// True if a terminal was asked for, and there is none to give.
    pub lacks_terminal: bool,
}

impl Request {
    /// Returns the request of a command line.
    pub fn of(line: &CommandLine) -> Result<Self> {
        let options = &line.options;
        let words = command(line)?;
        let is_subsystem = options.session_type == Some(SessionType::Subsystem);
        let is_login = words.is_empty() && !is_subsystem;
        let argv = if is_subsystem {
            remote::subsystem(&words)?
        } else {
            remote::command(words)
        };
        if options.background() && is_login {
            bail!("-f: there is no command to run in the background");
        }
        let (terminal, lacks_terminal) = terminal(options, is_login);
        // Without a terminal's default to keep the command: a lost session ends it, as with sshd(8).
        let mut exec = exec_args(&target(line)?, argv)?;
        exec.terminal = terminal;
        exec.stdin = !options.stdin_null();
        exec.user.clone_from(&options.user);
        exec.env = environment(options);
        exec.verbose = options.log_level == Some(LogLevel::Verbose);
        // rsync sends it to its ssh when it has read an error from the other side, whose words may be on their way.
        exec.caller.dismissal = &[SIGUSR1];
        exec.caller.is_quiet = options.log_level == Some(LogLevel::Quiet);
        exec.caller.escape = options.escape.unwrap_or_default();
        exec.caller.family = options.family.unwrap_or_default();
        if let Some(timeout) = options.connect_timeout.filter(|timeout| !timeout.is_zero()) {
            exec.contact.timeout.contact_timeout = timeout;
        }
        Ok(Self {
            exec,
            lacks_terminal: lacks_terminal
                && options.log_level.unwrap_or_default() >= LogLevel::Info,
        })
    }
}

/// Returns the words of the command, joined by spaces; empty for a login shell.
fn command(line: &CommandLine) -> Result<OsString> {
    let words = line.command.join(OsStr::new(" "));
    let remote = line.options.remote_command.as_deref();
    let Some(command) = remote.filter(|command| !command.is_empty()) else {
        return Ok(words);
    };
    if !words.is_empty() {
        bail!("a command line and RemoteCommand exclude each other");
    }
    let target = target(line)?;
    let expanded = expand(command, |token| {
        Some(match token {
            'h' => target.name().to_owned(),
            'n' => line.host.clone().unwrap_or_default(),
            'p' => target.port().to_string(),
            'r' => line.options.user.clone()?,
            _ => return None,
        })
    });
    Ok(expanded.context("RemoteCommand")?.into())
}

/// Returns the target: the host, or HostName, with the port.
pub fn target(line: &CommandLine) -> Result<Target> {
    let host = line.host.as_deref().unwrap_or_default();
    let name = match &line.options.host_name {
        Some(name) => {
            let token = |token| (token == 'h').then(|| host.to_owned());
            expand(name, token).context("HostName")?
        }
        None => host.to_owned(),
    };
    let parse = |text: &str| text.parse::<Target>().with_context(|| text.to_owned());
    let target = parse(&name)?;
    let quoted = match target.name() {
        name if name.contains(':') => format!("[{name}]"),
        name => name.to_owned(),
    };
    match line.options.port {
        Some(_) if target.names_port() => bail!("{name}: the port is in the host and in an option"),
        Some(port) => parse(&format!("{quoted}:{port}")),
        None if target.names_port() => Ok(target),
        None => parse(&quoted),
    }
}

/// Replaces tokens such as `%h`, and `%%` by `%`.
fn expand(text: &str, value: impl Fn(char) -> Option<String>) -> Result<String> {
    let (mut expanded, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        if letter != '%' {
            expanded.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => expanded.push('%'),
            Some(token) => {
                let missing = || format!("%{token} has no value");
                expanded += &value(token).with_context(missing)?;
            }
            None => bail!("a letter is missing after %"),
        }
    }
    Ok(expanded)
}

/// Returns true if the command gets a terminal, and true if it lacks one that was asked for.
fn terminal(options: &Options, is_login: bool) -> (bool, bool) {
    let is_wanted = match options.request_tty.unwrap_or_default() {
        RequestTty::Force => return (true, false),
        RequestTty::No => false,
        RequestTty::Auto => is_login,
        RequestTty::Yes => true,
    };
    let is_there = !options.stdin_null() && stdin().is_terminal();
    (is_wanted && is_there, is_wanted && !is_there)
}

/// Returns the variables of the command: those of SendEnv that an agent takes, then those of SetEnv.
fn environment(options: &Options) -> Vec<(OsString, OsString)> {
    let sent = std::env::vars_os().filter(|(name, value)| {
        name.to_str().is_some_and(|name| options.sends(name)) && is_acceptable(name, value)
    });
    let set = options.set_env.iter().flatten();
    let set = set.map(|(name, value)| (name.into(), value.into()));
    let is_free = |(name, _): &(OsString, OsString)| {
        OF_ACCOUNT
            .iter()
            .all(|of_account| OsStr::new(of_account) != name)
    };
    sent.chain(set).filter(is_free).collect()
}

/// Returns what `-G` prints: host, user and port that are in force with `hosts.toml`, in the form of ssh(1). A user who is
/// not named there either is the agent's choice.
pub fn configuration(line: &CommandLine) -> Result<String> {
    let context = Context::new()?;
    let target = context.target(&target(line)?)?;
    let user = match &line.options.user {
        Some(user) => Some(user.clone()),
        None => context.inventory(&[], |inventory| {
            Ok(inventory.user_of(&target)?.map(str::to_owned))
        })?,
    };
    let mut text = String::new();
    let _ = writeln!(text, "host {}", line.host.as_deref().unwrap_or_default());
    if let Some(user) = user {
        let _ = writeln!(text, "user {user}");
    }
    // The label of a target is the name that was typed.
    let target = Target::new(target.host().clone(), target.port());
    let _ = writeln!(text, "hostname {}\nport {}", target.name(), target.port());
    Ok(text)
}
