//! Options of a command line of ssh(1), with the meaning of ssh_config(5): the first value of each counts.
//!
//! Not the order of the words, and not what `udpctl` makes of the options. Invariant: a value that has no meaning is an
//! error that names its keyword.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::forwards::{LocalForward, PlaceSettings, socket_mode};
use super::keywords::{Keyword, Setting};
use super::port::port;
use super::words::{key_and_value, split};
use crate::cli::ctl::family::Family;
use crate::control::console::Escape;
use crate::control::forward::SocketFile;
use crate::message::ForwardTarget;

/// Use of a terminal: `-t`, `-T`, `RequestTTY`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum RequestTty {
    /// Never.
    No,
    /// If there is no command, and standard input is a terminal.
    #[default]
    Auto,
    /// If standard input is a terminal.
    Yes,
    /// Always.
    Force,
}

/// Kind of the session: `-s`, `-N`, `SessionType`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum SessionType {
    /// A command, or a shell.
    #[default]
    Default,
    /// The subsystem that the command names.
    Subsystem,
    /// Forwarded connections alone.
    None,
}

/// Amount of messages: `-q`, `-v`, `LogLevel`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// None about the run.
    Quiet,
    /// Failures.
    Error,
    /// Failures, and what is other than asked for.
    #[default]
    Info,
    /// Also the outcome.
    Verbose,
}

/// Options, each `None` unless given.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Options {
    /// User of the command.
    pub user: Option<String>,
    /// Port of the agent.
    pub port: Option<u16>,
    /// Host to contact instead of the one named, with `%h` for that.
    pub host_name: Option<String>,
    /// Family of the addresses to contact.
    pub family: Option<Family>,
    /// Time limit of the first answer; zero for the default.
    pub connect_timeout: Option<Duration>,
    /// Use of a terminal.
    pub request_tty: Option<RequestTty>,
    /// Kind of the session.
    pub session_type: Option<SessionType>,
    /// Command that stands for one on the command line; empty for none.
    pub remote_command: Option<String>,
    /// True for an empty standard input.
    pub stdin_null: Option<bool>,
    /// True to go to the background before the command runs.
    pub background: Option<bool>,
    /// Amount of messages.
    pub log_level: Option<LogLevel>,
    /// Variables of the command.
    pub set_env: Option<Vec<(String, String)>>,
    /// Patterns of the names of variables to pass on.
    pub send_env: Vec<String>,
    /// Escape character on a terminal.
    pub escape: Option<Escape>,
    /// Places to listen at, with the destinations of their connections.
    pub local_forwards: Vec<LocalForward>,
    /// Destination that standard input and output are connected with.
    pub stdio: Option<ForwardTarget>,
    /// True to listen on all addresses unless another is given.
    pub gateway_ports: Option<bool>,
    /// Mode of the file of a listening unix socket.
    pub socket_mode: Option<u32>,
    /// True to remove a socket file that is in the way.
    pub unlink_socket: Option<bool>,
    /// True to exit if something cannot listen.
    pub exit_on_forward_failure: Option<bool>,
    /// True to listen nowhere.
    pub clear_forwards: Option<bool>,
    /// Patterns of keywords that are no error.
    pub ignore_unknown: Option<Vec<String>>,
}

/// Sets an option unless it has a value.
fn first<T>(option: &mut Option<T>, value: T) {
    option.get_or_insert(value);
}

impl Options {
    /// Takes the value of `-o`.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let (key, value) = key_and_value(text);
        if key.is_empty() {
            return Ok(());
        }
        let Some(keyword) = Keyword::named(key) else {
            if matches_any(
                self.ignore_unknown.iter().flatten(),
                &key.to_ascii_lowercase(),
            ) {
                return Ok(());
            }
            bail!("command-line: line 0: Bad configuration option: {key}");
        };
        let words = split(value).with_context(|| format!("-o {key}"))?;
        if words.is_empty() {
            bail!("-o {key}: a value is missing");
        }
        match keyword {
            Keyword::Ignored => Ok(()),
            Keyword::Only(values, reason) => {
                let is_harmless = values
                    .iter()
                    .any(|known| words[0].eq_ignore_ascii_case(known));
                if !is_harmless {
                    bail!("-o {key}={value}: {reason}");
                }
                Ok(())
            }
            Keyword::Setting(Setting::RemoteCommand) => {
                let is_none = value.eq_ignore_ascii_case("none");
                let command = if is_none { "" } else { value };
                first(&mut self.remote_command, command.to_owned());
                Ok(())
            }
            Keyword::Setting(setting) => self
                .set_words(setting, words)
                .with_context(|| format!("-o {key}={value}")),
        }
    }

    fn set_words(&mut self, setting: Setting, words: Vec<String>) -> Result<()> {
        match setting {
            Setting::SendEnv => return self.add_send_env(words),
            Setting::LocalForward => {
                self.local_forwards
                    .push(LocalForward::parse(&words.join(":"))?);
                return Ok(());
            }
            Setting::IgnoreUnknown => {
                let patterns = words.iter().flat_map(|word| word.split(','));
                let patterns = patterns.map(str::to_ascii_lowercase);
                first(&mut self.ignore_unknown, patterns.collect());
                return Ok(());
            }
            Setting::SetEnv => {
                let variables: Option<Vec<_>> = words.iter().map(|word| variable(word)).collect();
                first(&mut self.set_env, variables.context("write NAME=VALUE")?);
                return Ok(());
            }
            _ => {}
        }
        let [word] = <[String; 1]>::try_from(words)
            .map_err(|words| anyhow::anyhow!("one value is expected, not {}", words.len()))?;
        let value = word.to_ascii_lowercase();
        match setting {
            Setting::User => first(&mut self.user, word),
            Setting::HostName => first(&mut self.host_name, word),
            Setting::Port => first(&mut self.port, port(&word)?),
            Setting::AddressFamily => first(
                &mut self.family,
                match &*value {
                    "any" => Family::Any,
                    "inet" => Family::V4,
                    "inet6" => Family::V6,
                    _ => bail!("any, inet or inet6 is expected"),
                },
            ),
            Setting::ConnectTimeout => first(&mut self.connect_timeout, timeout(&value)?),
            Setting::EscapeChar => first(&mut self.escape, word.parse()?),
            Setting::ForkAfterAuthentication => first(&mut self.background, flag(&value)?),
            Setting::ClearAllForwardings => first(&mut self.clear_forwards, flag(&value)?),
            Setting::ExitOnForwardFailure => {
                first(&mut self.exit_on_forward_failure, flag(&value)?);
            }
            Setting::GatewayPorts => first(&mut self.gateway_ports, flag(&value)?),
            Setting::StreamLocalBindMask => first(&mut self.socket_mode, socket_mode(&word)?),
            Setting::StreamLocalBindUnlink => first(&mut self.unlink_socket, flag(&value)?),
            Setting::StdinNull => first(&mut self.stdin_null, flag(&value)?),
            Setting::LogLevel => first(&mut self.log_level, log_level(&value)?),
            Setting::RequestTty => first(
                &mut self.request_tty,
                match &*value {
                    "auto" => RequestTty::Auto,
                    "force" => RequestTty::Force,
                    value if flag(value)? => RequestTty::Yes,
                    _ => RequestTty::No,
                },
            ),
            Setting::SessionType => first(
                &mut self.session_type,
                match &*value {
                    "default" => SessionType::Default,
                    "subsystem" => SessionType::Subsystem,
                    "none" => SessionType::None,
                    _ => bail!("default, subsystem or none is expected"),
                },
            ),
            Setting::SendEnv
            | Setting::LocalForward
            | Setting::SetEnv
            | Setting::IgnoreUnknown
            | Setting::RemoteCommand => unreachable!("these take several words"),
        }
        Ok(())
    }

    /// Adds patterns of variables to pass on; one with a dash removes those before that it matches.
    fn add_send_env(&mut self, words: Vec<String>) -> Result<()> {
        for word in words {
            if word.contains('=') {
                bail!("names of variables are expected");
            }
            match word.strip_prefix('-') {
                Some(removed) => {
                    let patterns = [removed.to_owned()];
                    self.send_env.retain(|known| !matches_any(&patterns, known));
                }
                None => self.send_env.push(word),
            }
        }
        Ok(())
    }

    /// Returns true if a variable is to be passed on.
    pub fn sends(&self, name: &str) -> bool {
        matches_any(&self.send_env, name)
    }

    /// True for an empty standard input.
    pub fn stdin_null(&self) -> bool {
        self.stdin_null == Some(true) || self.background()
    }

    /// Returns the places to listen at.
    pub fn forwards(&self) -> &[LocalForward] {
        match self.clear_forwards {
            Some(true) => &[],
            Some(false) | None => &self.local_forwards,
        }
    }

    /// Returns the settings of the places to listen at.
    pub fn place_settings(&self) -> PlaceSettings {
        PlaceSettings {
            is_gateway: self.gateway_ports == Some(true),
            socket: SocketFile {
                mode: self.socket_mode.unwrap_or(SocketFile::MODE),
                is_replaced: self.unlink_socket == Some(true),
            },
        }
    }

    /// True if there is neither a command nor a shell.
    pub fn has_no_command(&self) -> bool {
        self.session_type == Some(SessionType::None) || self.stdio.is_some()
    }

    /// True to go to the background before the command runs.
    pub fn background(&self) -> bool {
        self.background == Some(true)
    }

    /// Takes a `-t`; the second one forces a terminal.
    pub fn add_tty(&mut self) {
        self.request_tty = Some(match self.request_tty {
            Some(RequestTty::Yes | RequestTty::Force) => RequestTty::Force,
            _ => RequestTty::Yes,
        });
    }
}

fn flag(value: &str) -> Result<bool> {
    match value {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => bail!("yes or no is expected"),
    }
}

fn log_level(value: &str) -> Result<LogLevel> {
    Ok(match value {
        "quiet" => LogLevel::Quiet,
        "fatal" | "error" => LogLevel::Error,
        "info" => LogLevel::Info,
        "verbose" | "debug" | "debug1" | "debug2" | "debug3" => LogLevel::Verbose,
        _ => bail!("QUIET, FATAL, ERROR, INFO, VERBOSE or DEBUG is expected"),
    })
}

/// Parses a time as sshd_config(5) has it: seconds, or a sum such as `1m30s`.
fn timeout(value: &str) -> Result<Duration> {
    if value == "none" {
        return Ok(Duration::ZERO);
    }
    let (mut seconds, mut number) = (0u64, None::<u64>);
    let more =
        |seconds: u64, number: u64, unit: u64| seconds.checked_add(number.checked_mul(unit)?);
    for letter in value.chars() {
        let next = if let Some(digit) = letter.to_digit(10) {
            let number = number.get_or_insert(0);
            let next = number
                .checked_mul(10)
                .and_then(|ten| ten.checked_add(digit.into()));
            next.map(|next| *number = next)
        } else {
            let unit = match letter {
                's' => Some(1),
                'm' => Some(60),
                'h' => Some(3600),
                'd' => Some(86_400),
                'w' => Some(7 * 86_400),
                _ => None,
            };
            let next = unit.and_then(|unit| more(seconds, number.take()?, unit));
            next.map(|next| seconds = next)
        };
        next.context("a time such as 10 or 1m30s is expected")?;
    }
    let seconds = more(seconds, number.unwrap_or(0), 1).filter(|&seconds| seconds <= MAX_TIMEOUT);
    let seconds = seconds.context("the time is too long")?;
    Ok(Duration::from_secs(seconds))
}

/// Longest time in seconds: that of [`duration`](crate::duration).
const MAX_TIMEOUT: u64 = 1000 * 86_400;

fn variable(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

/// Returns true if a name matches one of some patterns with `*` and `?`. The case of letters matters.
fn matches_any<'a>(patterns: impl IntoIterator<Item = &'a String>, name: &str) -> bool {
    patterns
        .into_iter()
        .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, name) => true,
        (Some((b'*', _)), Some((_, behind))) => matches(pattern, behind),
        (Some((b'?', rest)), Some((_, behind))) => matches(rest, behind),
        (Some((letter, rest)), Some((first, behind))) => letter == first && matches(rest, behind),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> Options {
        let mut options = Options::default();
        for text in texts {
            options.set(text).unwrap();
        }
        options
    }

    #[test]
    fn the_first_value_of_an_option_counts() {
        let options = set(&["Port=1", "port 2", "SetEnv A=1 'B=x y'", "SetEnv=C=3"]);
        assert_eq!(options.port, Some(1));
        let variables = [("A", "1"), ("B", "x y")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(options.set_env.unwrap(), variables);
        let options = set(&["RemoteCommand=none", "RemoteCommand=echo \"a b\""]);
        assert_eq!(options.remote_command.as_deref(), Some(""));
    }

    #[test]
    fn times_are_those_of_ssh() {
        for (text, seconds) in [("10", 10), ("1m30s", 90), ("2h", 7200), ("1w1", 604_801)] {
            assert_eq!(
                timeout(text).unwrap(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
        assert!(timeout("none").unwrap().is_zero() && timeout("0").unwrap().is_zero());
        for text in ["s", "1x", "-1", "1.5", "99999999999999999999", "9999999w"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sent_variables_are_patterns_that_a_dash_removes() {
        let options = set(&["SendEnv=LANG LC_*", "SendEnv -LC_*", "SendEnv=A?"]);
        for (name, is_sent) in [
            ("LANG", true),
            ("LC_ALL", false),
            ("AB", true),
            ("A", false),
        ] {
            assert_eq!(options.sends(name), is_sent, "{name}");
        }
    }

    #[test]
    fn an_unknown_keyword_is_an_error_unless_it_is_to_be_ignored() {
        let options = &mut set(&["IgnoreUnknown=UseKeychain,Foo*"]);
        options.set("usekeychain yes").unwrap();
        options.set("FooBar=1").unwrap();
        assert!(options.set("Bar=1").is_err());
    }

    #[test]
    fn a_second_t_forces_a_terminal() {
        let mut options = Options::default();
        options.add_tty();
        assert_eq!(options.request_tty, Some(RequestTty::Yes));
        options.add_tty();
        assert_eq!(options.request_tty, Some(RequestTty::Force));
    }
}
