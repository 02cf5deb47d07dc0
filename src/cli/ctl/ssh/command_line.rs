//! Parser of ssh(1)'s command line: options before the host and between host and command, then the command.
//!
//! It resembles getopt(3) as ssh uses it: letters in one word, values in the same word or the next, and `--`. Not the meaning of
//! the options, which is that of [`Options`]. Invariant: no word behind the first one of the command is taken for an option.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use anyhow::{Result, anyhow, bail};

use super::forwards::{LocalForward, stdio_target};
use super::keywords::reason;
use super::options::{LogLevel, Options, RequestTty, SessionType};
use super::port::port;
use crate::cli::ctl::family::Family;
use crate::escape;

/// Summary of the command line, as clap and a fault in one show it.
pub const USAGE: &str = "\
udpctl ssh [-46aCfGgkMNnqsTtVvxy] [-c cipher] [-e escape] [-F file] [-i identity]
           [-L [bind:]port:host:port] [-l user] [-m mac] [-o option] [-p port] [-S path]
           [-W host:port] [user@]host [command ...]";

/// Letters of options with a value.
pub const WITH_VALUE: &[u8] = b"bceilmopwBDEFIJLOPQRSW";

/// Bytes displayed of a letter that is no option: one that is not printable takes several.
const LETTER: usize = 8;

/// Bytes displayed of a word that is not UTF-8.
const WORD: usize = 64;

/// A command line.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CommandLine {
    /// Options, with the user and the port of the host.
    pub options: Options,
    /// The host as typed, without user and port.
    pub host: Option<String>,
    /// Words of the command.
    pub command: Vec<OsString>,
    /// Question to answer instead of running the command.
    pub query: Option<Query>,
}

/// Question that is answered without a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    /// `-V`: the version.
    Version,
    /// `-G`: host, user and port.
    Configuration,
    /// `-h` or `--help`: the help of the subcommand.
    Help,
}

/// Error: a command line has no host, or an option that there is not. [`USAGE`] is shown with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageError(String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nusage: {USAGE}", self.0)
    }
}

impl std::error::Error for UsageError {}

impl CommandLine {
    /// Parses the words behind the name of the program.
    pub fn parse(words: &[OsString]) -> Result<Self> {
        let mut line = Self::default();
        let mut words = words.iter().cloned();
        let (mut is_terminated, mut next) = (false, words.next());
        while let Some(word) = next.take() {
            let bytes = word.as_bytes();
            if bytes == b"--" && !is_terminated {
                is_terminated = true;
            } else if bytes.starts_with(b"-") && bytes.len() > 1 && !is_terminated {
                if bytes == b"--help" {
                    line.query = Some(Query::Help);
                } else {
                    line.letters(&bytes[1..], &mut words)?;
                }
                if matches!(line.query, Some(Query::Version | Query::Help)) {
                    return Ok(line);
                }
            } else if line.host.is_none() {
                line.destination(&text(word)?)?;
            } else {
                line.command.push(word);
                break;
            }
            next = words.next();
        }
        line.command.extend(words);
        if line.host.is_none() {
            return Err(UsageError("the host is missing".into()).into());
        }
        let options = &line.options;
        if options.has_no_command() && options.stdio.is_none() && options.forwards().is_empty() {
            return Err(at_option(b'N', anyhow!(reason::NO_COMMAND)));
        }
        Ok(line)
    }

    /// Takes the letters of one word, and the next word if that is the value of the last letter.
    fn letters(&mut self, letters: &[u8], more: &mut impl Iterator<Item = OsString>) -> Result<()> {
        for (at, &letter) in letters.iter().enumerate() {
            if !WITH_VALUE.contains(&letter) {
                self.flag(letter)?;
                continue;
            }
            let rest = &letters[at + 1..];
            let value = if rest.is_empty() {
                let missing = || format!("-{}: a value is missing", char::from(letter));
                more.next().ok_or_else(|| UsageError(missing()))?
            } else {
                OsString::from_vec(rest.to_owned())
            };
            let value = text(value)?;
            return self
                .value(letter, value)
                .map_err(|error| at_option(letter, error));
        }
        Ok(())
    }

    /// Takes an option without a value.
    fn flag(&mut self, letter: u8) -> Result<()> {
        let options = &mut self.options;
        match letter {
            b'4' => options.family = Some(Family::V4),
            b'6' => options.family = Some(Family::V6),
            b'f' => options.background = Some(true),
            b'G' => self.query = Some(Query::Configuration),
            b'h' => self.query = Some(Query::Help),
            b'g' => options.gateway_ports = Some(true),
            b'N' => options.session_type = Some(SessionType::None),
            b'n' => options.stdin_null = Some(true),
            b'q' => options.log_level = Some(LogLevel::Quiet),
            b's' => options.session_type = Some(SessionType::Subsystem),
            b'T' => options.request_tty = Some(RequestTty::No),
            b't' => options.add_tty(),
            b'V' => self.query = Some(Query::Version),
            b'v' => options.log_level = Some(LogLevel::Verbose),
            // Forwarding that is off anyway, the transport of ssh, and its log.
            b'2' | b'a' | b'C' | b'k' | b'M' | b'x' | b'y' => {}
            _ => return Err(refused(letter)),
        }
        Ok(())
    }

    /// Takes an option with a value. The first value counts, unless it is that of a flag.
    fn value(&mut self, letter: u8, value: String) -> Result<()> {
        let options = &mut self.options;
        match letter {
            b'o' => options.set(&value)?,
            b'l' => {
                options.user.get_or_insert(value);
            }
            b'p' => {
                options.port.get_or_insert(port(&value)?);
            }
            b'e' => options.escape = Some(value.parse()?),
            // Ciphers, files and keys of ssh.
            b'c' | b'F' | b'i' | b'I' | b'm' | b'P' | b'S' => {}
            b'J' if value.eq_ignore_ascii_case("none") => {}
            b'J' => bail!(reason::PROXY),
            b'b' | b'B' => bail!(reason::SOURCE),
            b'D' | b'R' => bail!(reason::CONNECTIONS),
            b'L' => options.local_forwards.push(LocalForward::parse(&value)?),
            b'W' => {
                options.stdio.get_or_insert(stdio_target(&value)?);
            }
            b'w' => bail!(reason::TUNNEL),
            b'E' => bail!("messages are written to standard error"),
            b'O' => bail!("there is no control connection"),
            b'Q' => bail!("there is no choice of algorithms"),
            _ => unreachable!("{WITH_VALUE:?} has no other letter"),
        }
        Ok(())
    }

    /// Takes `[user@]host` or `ssh://[user@]host[:port]`.
    fn destination(&mut self, word: &str) -> Result<()> {
        let bad = || UsageError(format!("\"{word}\" is no host"));
        let (place, is_uri) = match word.strip_prefix("ssh://") {
            Some(place) => (place.strip_suffix('/').unwrap_or(place), true),
            None => (word, false),
        };
        let (user, mut host) = match place.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, place),
        };
        if user.is_some_and(str::is_empty) {
            return Err(bad().into());
        }
        if is_uri
            && let Some((name, digits)) = host.rsplit_once(':')
            && !digits.ends_with(']')
        {
            self.options.port.get_or_insert(port(digits)?);
            host = name;
        }
        if host.is_empty() {
            return Err(bad().into());
        }
        if let Some(user) = user {
            self.options.user.get_or_insert_with(|| user.to_owned());
        }
        self.host = Some(host.to_owned());
        Ok(())
    }
}

/// Returns the reason why an option without a value is refused.
fn refused(letter: u8) -> anyhow::Error {
    let reason = match letter {
        b'A' => reason::AGENT,
        b'K' => reason::CREDENTIALS,
        b'X' | b'Y' => reason::X11,
        _ => {
            let letter = escape::line(&[letter], LETTER).into_owned();
            return UsageError(format!("unknown option -{letter}")).into();
        }
    };
    at_option(letter, anyhow!(reason))
}

/// Names the option in its error.
fn at_option(letter: u8, error: anyhow::Error) -> anyhow::Error {
    if letter == b'o' || error.is::<UsageError>() {
        return error;
    }
    error.context(format!("-{}", char::from(letter)))
}

/// Returns a word that is not part of the command.
fn text(word: OsString) -> Result<String> {
    word.into_string().map_err(|word| {
        let word = escape::line(word.as_bytes(), WORD);
        UsageError(format!("\"{word}\" is not UTF-8")).into()
    })
}

#[cfg(test)]
mod tests;
