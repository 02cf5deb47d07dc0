//! Hints for words that no subcommand takes: a host in the place of a subcommand, a command behind `shell`, a message behind
//! `chat`, a signal behind `kill`, an unknown option.
//!
//! Invariant: a hint names a line only if its words are those that were typed.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{SHOWN, find_option, line};
use crate::cli::ctl::Ctl;
use crate::escape;
use crate::net::Target;
use clap::CommandFactory as _;

/// Returns the hint for a word that is no subcommand, unless clap knows a similar one.
pub(super) fn no_subcommand(words: &[&str], error: &clap::Error) -> Option<String> {
    let (&first, rest) = words.split_first()?;
    let program = Ctl::command();
    let whole: Vec<&str> = first.split_whitespace().collect();
    if whole.len() > 1 && program.find_subcommand(whole[0]).is_some() {
        let line = line(whole);
        return Some(format!(
            "the line is one word; write it without the quotes: {line}"
        ));
    }
    if error.get(ContextKind::SuggestedSubcommand).is_some() || first.parse::<Target>().is_err() {
        return None;
    }
    let shown = escape::line(first.as_bytes(), SHOWN);
    let next = if rest.is_empty() {
        let line = line(["shell", first]);
        format!("a shell on a host is {line}, and \"udpctl --help\" lists the subcommands")
    } else {
        let rest = rest.strip_prefix(&["--"]).unwrap_or(rest);
        let line = line([&["exec", first, "--"], rest].concat());
        format!("to run a command on a host: {line}")
    };
    Some(format!("there is no subcommand {shown}; {next}"))
}

/// Returns the hint for a command behind the host of `shell`: the first word that is no option begins it.
pub(super) fn command_of_shell(words: &[&str]) -> Option<String> {
    let (before, host, command) = split(&positions("shell", words)?, words)?;
    let command = command.strip_prefix(&["--"]).unwrap_or(command);
    if command.is_empty() || before.contains(&"--attach") {
        return None;
    }
    let line = line([&["exec", "-t"], before, &[host, "--"], command].concat());
    Some(format!(
        "a shell takes no command; to run one on a terminal: {line}"
    ))
}

/// Returns the hint for a message behind the host of `chat`.
pub(super) fn message_of_chat(words: &[&str]) -> Option<String> {
    let (before, host, message) = split(&positions("chat", words)?, words)?;
    if !before.is_empty() || message.is_empty() {
        return None;
    }
    let line = line([&["send", host, "--"], message].concat());
    Some(format!("a chat takes no message; to send one: {line}"))
}

/// Returns the hint for an option that there is not, unless clap knows a similar one. Its own advice, to put `--` before it,
/// makes a target of it.
pub(super) fn no_option(words: &[&str], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_option = error.kind() == ErrorKind::UnknownArgument && option.starts_with('-');
    if !is_option || error.get(ContextKind::SuggestedArg).is_some() {
        return None;
    }
    let program = Ctl::command();
    let subcommand = words.first().and_then(|word| program.find_subcommand(word));
    let of = match subcommand {
        Some(subcommand) => format!("udpctl {}", subcommand.get_name()),
        None => "udpctl".to_owned(),
    };
    let shown = escape::line(option.as_bytes(), SHOWN);
    Some(format!(
        "{of} has no option {shown}; \"{of} --help\" lists them"
    ))
}

/// Returns the positions of the words that are neither options nor their values; all behind an unknown option are.
fn positions(subcommand: &str, words: &[&str]) -> Option<Vec<usize>> {
    let mut program = Ctl::command();
    program.build();
    let subcommand = program.find_subcommand(subcommand)?;
    let (mut positions, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        match word.starts_with('-').then(|| find_option(subcommand, word)) {
            Some(Some((_, takes_next))) => at += usize::from(takes_next),
            Some(None) | None => positions.push(at),
        }
        at += 1;
    }
    Some(positions)
}

/// Splits a line into the words before the host, the host, and what begins at the next word that is no option.
fn split<'a>(
    positions: &[usize],
    words: &'a [&'a str],
) -> Option<(&'a [&'a str], &'a str, &'a [&'a str])> {
    let [host, command, ..] = positions else {
        return None;
    };
    let is_host = words[*host].parse::<Target>().is_ok();
    // Options between both would be lost.
    (is_host && host + 1 == *command).then(|| (&words[..*host], words[*host], &words[*command..]))
}
