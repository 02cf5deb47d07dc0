//! Hints for command lines of `udpctl` that clap refuses: a missing `--`, a user in front of the host.
//!
//! Not a parser: clap alone decides which lines are refused, and a line without one of these mistakes gets
//! clap's own message. Invariant: a command line that a hint shows has no such mistake any more.

mod words;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory as _};

use self::words::{command_of_shell, message_of_chat, no_option, no_subcommand};
use super::Ctl;
use crate::control::targets::{Expression, ParseExpressionError};
use crate::escape;
use crate::net::Target;

/// Bytes of a command line that a hint shows; a line that can be pasted is rarely longer.
const SHOWN: usize = 4096;

/// Text that takes the place of a missing command.
const PLACEHOLDER: &str = "COMMAND";

/// Text that takes the place of a missing message.
const MESSAGE: &str = "TEXT";

/// Text that takes the place of a missing target.
const TARGET: &str = "TARGET";

/// Returns what to type instead of `words`, the command line without the program's name.
pub fn hint(words: &[OsString], error: &clap::Error) -> Option<String> {
    let words: Vec<&str> = words
        .iter()
        .map(|word| word.to_str())
        .collect::<Option<_>>()?;
    let concerns_target = match error.kind() {
        ErrorKind::ValueValidation if words.first() == Some(&"shell") && is_about(error, "JOB") => {
            return command_of_shell(&words[1..]);
        }
        ErrorKind::ValueValidation => is_about(error, "TARGET") || is_about(error, "SET"),
        ErrorKind::MissingRequiredArgument
        | ErrorKind::UnknownArgument
        | ErrorKind::DisplayHelp => true,
        _ => false,
    };
    if error.kind() == ErrorKind::InvalidSubcommand {
        return no_subcommand(&words, error);
    }
    if !concerns_target {
        return mistake(error);
    }
    let hint = match (words.first(), error.kind()) {
        (Some(&"exec"), kind) => Line::parse("exec", &words[1..])
            .and_then(|line| line.hint(kind).or_else(|| line.misplaced())),
        (Some(&"send"), kind) if kind != ErrorKind::DisplayHelp => {
            let line = Line::parse("send", &words[1..]).and_then(|line| line.message_hint());
            line.or_else(|| host_alone("send", &words[1..], error))
        }
        (Some(&"shell"), ErrorKind::ValueValidation) if is_about(error, "TARGET") => {
            user_of_shell(&words[1..], error)
        }
        (Some(&"shell"), ErrorKind::UnknownArgument) => command_of_shell(&words[1..]),
        (Some(&"chat"), ErrorKind::UnknownArgument) => message_of_chat(&words[1..]),
        (Some(subcommand), ErrorKind::ValueValidation) => {
            host_alone(subcommand, &words[1..], error)
        }
        _ => None,
    };
    hint.or_else(|| mistake(error))
        .or_else(|| no_option(&words, error))
}

/// Returns what to type instead of a line of `exec` with `--shell` or `--script` and without `--`, on which arguments
/// stand where hosts do. No name is looked up.
pub fn arguments_hint(words: &[OsString]) -> Option<String> {
    let words: Vec<&str> = words
        .iter()
        .map(|word| word.to_str())
        .collect::<Option<_>>()?;
    let (&"exec", words) = words.split_first()? else {
        return None;
    };
    Line::parse("exec", words)?.misplaced()
}

/// True if a word has the form of a host or a set of hosts. A bare number has not, although resolvers take it for an address.
fn is_host(word: &str) -> bool {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    !is_number && !word.contains('/') && word.parse::<Expression>().is_ok()
}

/// Returns the mistake in a set, with its place.
fn mistake(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(refused)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let mistake = std::error::Error::source(error)?.downcast_ref::<ParseExpressionError>()?;
    let shown = escape::line(refused.as_bytes(), SHOWN);
    Some(match mistake {
        ParseExpressionError::Syntax(_) => format!("\"{shown}\": {mistake}"),
        ParseExpressionError::Name(..) => mistake.to_string(),
    })
}

/// True if the argument that was refused is called `name`.
fn is_about(error: &clap::Error, name: &str) -> bool {
    matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if argument.contains(name)
    )
}

/// Returns the hint for a `user@host` outside of `exec`.
fn host_alone(subcommand: &str, words: &[&str], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(refused)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let (_, host) = user_and_host(refused)?;
    let words = words
        .iter()
        .map(|&word| if word == refused { host } else { word });
    Some(format!(
        "{refused} is not a target; write the host alone: {}",
        line([subcommand].into_iter().chain(words))
    ))
}

/// Returns the hint for a `user@host` of `shell`.
fn user_of_shell(words: &[&str], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(refused)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let (user, host) = user_and_host(refused)?;
    let words = words.iter().flat_map(|&word| match word {
        word if word == refused => vec!["--user", user, host],
        word => vec![word],
    });
    Some(format!(
        "{refused} is not a target; to be another user: {}",
        line(["shell"].into_iter().chain(words))
    ))
}

/// Splits `user@host`.
fn user_and_host(word: &str) -> Option<(&str, &str)> {
    let (user, host) = word.rsplit_once('@')?;
    (!user.is_empty() && host.parse::<Expression>().is_ok()).then_some((user, host))
}

/// Formats `udpctl WORDS`, quoted for a shell.
fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = words.into_iter().map(|word| match word {
        // Shown as typed, although the placeholder would be quoted otherwise.
        PLACEHOLDER | MESSAGE | TARGET | "--" => word.to_owned(),
        word => escape::shell_word(word).into_owned(),
    });
    let line: Vec<String> = std::iter::once("udpctl".to_owned()).chain(quoted).collect();
    escape::line(line.join(" ").as_bytes(), SHOWN).into_owned()
}

/// A command line of `udpctl exec` or `udpctl send`, as far as it can be read without its `--`.
struct Line<'a> {
    /// Everything behind the subcommand.
    words: &'a [&'a str],
    /// Positions of the words that are neither options nor their values, up to the `--` or an unknown option.
    positional: Vec<usize>,
    /// Position of the `--`.
    dashes: Option<usize>,
    /// Position of `--shell` or `--script`, if one says what to run.
    text: Option<usize>,
    /// True if options before the first word name hosts.
    has_hosts: bool,
    /// True if `--user` is there already.
    has_user: bool,
    /// Position of the first `-h` or `--help`.
    help: Option<usize>,
    /// Position of the `--` or of the unknown option, or the number of words.
    end: usize,
}

impl<'a> Line<'a> {
    /// Reads the line as far as that is possible.
    fn parse(subcommand: &str, words: &'a [&'a str]) -> Option<Self> {
        let mut program = Ctl::command();
        program.build();
        let subcommand = program.find_subcommand(subcommand)?;
        let mut line = Self {
            words,
            positional: Vec::new(),
            dashes: None,
            text: None,
            has_hosts: false,
            has_user: false,
            help: None,
            end: words.len(),
        };
        let mut position = 0;
        while let Some(&word) = words.get(position) {
            if word == "--" {
                (line.dashes, line.end) = (Some(position), position);
                break;
            }
            if word.starts_with('-') && word != "-" {
                let Some((option, takes_next)) = find_option(subcommand, word) else {
                    line.end = position;
                    break;
                };
                let id = option.get_id().as_str();
                if ["shell", "script"].contains(&id) {
                    line.text.get_or_insert(position);
                }
                line.has_hosts |= line.positional.is_empty()
                    && ["hosts", "group", "all_hosts", "hostfile", "rerun"].contains(&id);
                line.has_user |= id == "user";
                if id == "help" {
                    line.help.get_or_insert(position);
                }
                position += usize::from(takes_next);
            } else {
                line.positional.push(position);
            }
            position += 1;
        }
        Some(line)
    }

    /// Returns the hint for a mistake in the line.
    fn hint(&self, kind: ErrorKind) -> Option<String> {
        let lacks_dashes = self.dashes.is_none() && self.text.is_none();
        let command = lacks_dashes.then(|| self.command()).flatten();
        // Help is what was asked for, unless the option belongs to the command, as in `df -h`.
        if kind == ErrorKind::DisplayHelp && command.is_none_or(|at| self.help < Some(at)) {
            return None;
        }
        let targets = &self.positional[..self.targets(command)];
        if let Some(hint) = self.other_user(targets, command) {
            return Some(hint);
        }
        if self.dashes == Some(0) && self.words.len() > 1 {
            let line = line([&["exec", TARGET], self.words].concat());
            return Some(format!("the target is missing: {line}"));
        }
        if targets.is_empty() && !self.has_hosts
            || kind == ErrorKind::ValueValidation && command.is_none()
        {
            return None;
        }
        if command.is_some() {
            return Some(format!(
                "put \"--\" before the command: {}",
                self.corrected(targets, command, None)
            ));
        }
        let ends_with_targets = match self.dashes {
            Some(dashes) => dashes + 1 == self.words.len(),
            None => kind == ErrorKind::MissingRequiredArgument,
        };
        (ends_with_targets && self.text.is_none()).then(|| {
            format!(
                "the command is missing: {}",
                self.corrected(targets, None, None)
            )
        })
    }

    /// Returns the hint for a message without its `--`. Options that are typed behind it go before it.
    fn message_hint(&self) -> Option<String> {
        let is_open = self
            .dashes
            .is_none_or(|dashes| dashes + 1 == self.words.len());
        if !is_open || self.positional.is_empty() && !self.has_hosts {
            return None;
        }
        let message = self.command().filter(|_| self.dashes.is_none());
        let Some(message) = message else {
            let words = &self.words[..self.dashes.unwrap_or(self.words.len())];
            let line = line([&["send"], words, &["--", MESSAGE]].concat());
            return Some(format!("the message is missing: {line}"));
        };
        let is_message =
            |at: &usize| *at >= message && (self.positional.contains(at) || *at >= self.end);
        let (text, before): (Vec<usize>, Vec<usize>) = (0..self.words.len()).partition(is_message);
        let words = |places: Vec<usize>, first| {
            let words = places.into_iter().map(|at| self.words[at]);
            std::iter::once(first).chain(words)
        };
        let line = line(words(before, "send").chain(words(text, "--")));
        Some(format!("put \"--\" before the message: {line}"))
    }

    /// Returns the hint for words that are arguments of the text or script: they go behind a `--`. Words are that if they
    /// have not the form of a host, or stand behind the text although hosts are named before it.
    fn misplaced(&self) -> Option<String> {
        let text = self.text.filter(|_| self.dashes.is_none())?;
        let is_later = |at: usize| self.has_hosts || Some(&at) != self.positional.first();
        let is_behind = |at: usize| {
            at > text
                && (self.has_hosts || self.positional.first().is_some_and(|host| *host < text))
        };
        let is_wrong =
            |at: &&usize| is_later(**at) && (!is_host(self.words[**at]) || is_behind(**at));
        let first = *self.positional.iter().find(is_wrong)?;
        let is_argument = |at: &usize| *at >= first && self.positional.contains(at);
        let (arguments, before): (Vec<usize>, Vec<usize>) =
            (0..self.words.len()).partition(is_argument);
        let words = |places: Vec<usize>| places.into_iter().map(|at| self.words[at]);
        let line = line(
            ["exec"]
                .into_iter()
                .chain(words(before))
                .chain(["--"])
                .chain(words(arguments)),
        );
        let word = escape::line(self.words[first].as_bytes(), SHOWN);
        let fault = if is_host(self.words[first]) {
            format!("{word} stands behind what to run, and a host before it")
        } else {
            format!("{word} is not a host")
        };
        Some(format!(
            "{fault}; nothing was sent; put \"--\" before arguments: {line}; a text of --shell with spaces is quoted, and \
             a \"--\" at the end says that all are hosts"
        ))
    }

    /// Returns the position at which a command or message without `--` most likely begins: the first word that does not
    /// look like one more target, or the last word.
    fn command(&self) -> Option<usize> {
        let (first, others) = self.positional.split_first()?;
        if self.has_hosts {
            return Some(*first);
        }
        others
            .iter()
            .find(|&&at| !are_alike(self.words[*first], self.words[at]))
            .or(others.last())
            .copied()
    }

    /// Returns the number of positional words before the command.
    fn targets(&self, command: Option<usize>) -> usize {
        let before = |&&at: &&usize| command.is_none_or(|command| at < command);
        self.positional.iter().filter(before).count()
    }

    /// Returns the hint for targets of the form `user@host`.
    fn other_user(&self, targets: &[usize], command: Option<usize>) -> Option<String> {
        let mut named = targets
            .iter()
            .filter_map(|&at| Some((self.words[at], user_and_host(self.words[at])?)));
        let (word, (user, host)) = named.next()?;
        let example = if self.has_user || named.any(|(_, (other, _))| other != user) {
            line(["exec", "--user", user, host, "--", PLACEHOLDER])
        } else {
            self.corrected(targets, command, Some(user))
        };
        Some(format!(
            "{word} is not a target; to run as another user: {example}"
        ))
    }

    /// Returns the command line with its `--`, and with the user in an option of its own.
    fn corrected(&self, targets: &[usize], command: Option<usize>, user: Option<&str>) -> String {
        let mut words = vec!["exec"];
        if let Some(user) = user {
            words.extend(["--user", user]);
        }
        for (position, &word) in self.words.iter().enumerate() {
            if command == Some(position) {
                words.push("--");
            }
            match user_and_host(word) {
                Some((_, host)) if targets.contains(&position) => words.push(host),
                _ => words.push(word),
            }
        }
        let has_command = command.is_some() || self.text.is_some();
        match self.dashes {
            None if !has_command => words.extend(["--", PLACEHOLDER]),
            Some(dashes) if dashes + 1 == self.words.len() => words.push(PLACEHOLDER),
            _ => {}
        }
        line(words)
    }
}

/// Returns the option that a word is, and true if its value is the next word.
fn find_option<'a>(command: &'a Command, word: &str) -> Option<(&'a Arg, bool)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let option = command
            .get_arguments()
            .find(|option| option.get_long() == Some(name))?;
        let takes_next = option.get_action().takes_values() && value.is_none();
        return Some((option, takes_next));
    }
    let mut letters = word.chars().skip(1);
    let letter = letters.next()?;
    let find = |letter| {
        command
            .get_arguments()
            .find(move |option| option.get_short() == Some(letter))
    };
    let first = find(letter)?;
    let mut last = first;
    // Behind the letter of an option with a value is the value.
    while !last.get_action().takes_values()
        && let Some(letter) = letters.next()
    {
        last = find(letter)?;
    }
    let takes_next = last.get_action().takes_values() && letters.next().is_none();
    Some((first, takes_next))
}

/// True if a word looks like one more target beside `target`: `web2` beside `web1`, or `db:7001`.
fn are_alike(target: &str, word: &str) -> bool {
    let name = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    let host = |text| {
        user_and_host(text)
            .map_or(text, |(_, host)| host)
            .to_owned()
    };
    let (target, word) = (host(target), host(word));
    word.parse::<Target>().is_ok() && (word.contains(':') || name(&target) == name(&word))
}
