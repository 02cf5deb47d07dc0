//! Log lines of the notes of the service, of changed keys, and of the agent itself.
//!
//! The names of the fields are those of the audit's records.

use std::io;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

use crate::agent::access::{Controller, Denied};
use crate::agent::audit::{Change, Event, KeyChange};
use crate::agent::config::LogFormat;
use crate::agent::note::{Note, SessionDenial};
use crate::agent::recorder::log_format::Lines;
use crate::escape;
use crate::message::signal::signal_name;
use crate::message::{OsText, Outcome, RequestId, limits};

/// Starts the log of this program. Each line is one write to `writer`. `verbose` is the number of `-v`.
pub fn start<W: io::Write + Clone + Send + Sync + 'static>(
    format: LogFormat,
    verbose: u8,
    writer: W,
) {
    let level = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Only tests start two agents in a process, and either log serves both.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        // Otherwise the log complains on standard error, and panics if that is closed.
        .log_internal_errors(false)
        .event_format(Lines(format))
        .with_writer(move || writer.clone())
        .try_init();
}

/// Bytes of a command line that a log line shows.
const COMMAND: usize = 256;

/// Counts of the notes of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Sessions that were opened.
    pub sessions: u64,
    /// Commands that were accepted.
    pub commands: u64,
    /// Commands that were denied.
    pub denied: u64,
}

impl Counts {
    /// Returns the event of the audit at the end of the agent.
    #[must_use]
    pub const fn event(self) -> Event<'static> {
        let Self {
            sessions,
            commands,
            denied,
        } = self;
        Event::AgentEnded {
            commands,
            denied,
            sessions,
        }
    }

    /// Counts a session.
    pub const fn session(&mut self) {
        self.sessions = self.sessions.saturating_add(1);
    }

    /// Counts an accepted command.
    pub const fn command(&mut self) {
        self.commands = self.commands.saturating_add(1);
    }

    /// Counts a denied command.
    pub const fn denied(&mut self) {
        self.denied = self.denied.saturating_add(1);
    }

    /// Counts a note and writes it to the log. What an owner wants to know is at the default level, sessions and
    /// commands are below it.
    pub fn write(&mut self, note: &Note) {
        match note {
            Note::Opened { controller, .. } => {
                self.sessions = self.sessions.saturating_add(1);
                opened(controller);
            }
            Note::Accepted {
                id,
                controller,
                argv,
            } => {
                self.commands = self.commands.saturating_add(1);
                accepted(*id, controller, argv);
            }
            Note::Ended {
                id,
                controller,
                outcome,
                stdout,
                stderr,
            } => ended(*id, controller, *outcome, [*stdout, *stderr]),
            Note::Refused {
                id,
                controller,
                outcome,
                denied,
            } => {
                self.denied = self.denied.saturating_add(1);
                refused(*id, controller, *outcome, denied.as_ref());
            }
            Note::Registered { controller } => registered(controller),
            Note::AlreadyListed { controller } => already_listed(controller),
        }
    }
}

fn opened(controller: &Controller) {
    let (key, name, address) = who(controller);
    tracing::debug!(event = "session", %key, name, address, "session of {name}");
}

fn accepted(id: RequestId, controller: &Controller, argv: &[OsText]) {
    let (key, name, address) = who(controller);
    let command = command(argv);
    tracing::debug!(event = "accepted", %key, name, address, request = %id, "accepted: {command}");
}

fn ended(id: RequestId, controller: &Controller, outcome: Outcome, [stdout, stderr]: [u64; 2]) {
    let (key, name, address) = who(controller);
    let outcome = words(outcome);
    tracing::debug!(
        event = "ended", %key, name, address, request = %id, stdout, stderr,
        "ended: {outcome}"
    );
}

fn refused(id: RequestId, controller: &Controller, outcome: Outcome, denied: Option<&Denied>) {
    let (key, name, address) = who(controller);
    if let Some(reason) = denied {
        tracing::info!(
            event = "denied", %key, name, address, request = %id,
            "denied: {reason}"
        );
    } else {
        tracing::debug!(
            event = "denied", %key, name, address, request = %id,
            "not run: {outcome}"
        );
    }
}

fn registered(controller: &Controller) {
    let (key, name, address) = who(controller);
    tracing::info!(event = "registered", %key, name, address, "registered by invitation: {name}");
}

fn already_listed(controller: &Controller) {
    let (key, name, address) = who(controller);
    tracing::info!(
        event = "already_listed",
        %key,
        name,
        address,
        "invitation used by {name}, which is listed already; its line and its rights stay as they are"
    );
}

/// Writes a report about commands that were refused as busy.
pub fn write_busy(commands: u64, last: &Controller) {
    let (key, name, address) = who(last);
    let refused = match commands {
        1 => "a command was refused".to_owned(),
        _ => format!("{commands} commands were refused"),
    };
    tracing::warn!(
        event = "denied", %key, name, address, commands,
        "busy: {refused}, the last one of {name}: as many run as its key or the agent may have"
    );
}

/// Writes a report about denied sessions.
pub fn write_session_denial(denial: &SessionDenial) {
    let name = clean_name(denial.name.as_deref().unwrap_or("(not listed)"));
    let SessionDenial {
        key,
        address,
        reason,
        left_out,
        ..
    } = denial;
    if *left_out == 0 {
        tracing::info!(event = "session_denied", %key, name, %address, "session denied: {reason}");
    } else {
        tracing::info!(
            event = "session_denied", %key, name, %address, left_out,
            "session denied: {reason}"
        );
    }
}

/// Writes a change of the agent's files.
pub fn write_key_change(change: &KeyChange) {
    let name = clean_name(&change.name);
    let event = change.change.event().name();
    let what = match change.change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    };
    tracing::info!(event, key = %change.key, name, "key {what}: {name}");
}

/// Writes that the files were read again.
pub fn write_reload(keys: usize, errors: usize) {
    let errors_counted = match errors {
        0 => String::new(),
        1 => ", 1 error".into(),
        _ => format!(", {errors} errors"),
    };
    tracing::info!(
        event = "reloaded",
        keys,
        errors,
        "keys read again: {keys}{errors_counted}"
    );
}

/// Writes the end of the agent.
pub fn write_end(counts: Counts) {
    let Counts {
        sessions,
        commands,
        denied,
    } = counts;
    tracing::info!(
        event = "agent_ended",
        sessions,
        commands,
        denied,
        "ended: {sessions} sessions, {commands} commands, {denied} denied"
    );
}

/// Returns an outcome as the end of a sentence.
fn words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Exited { code } => format!("exited {code}"),
        Outcome::Signaled { signal, core } => {
            let name = signal_name(signal).map(|name| format!(" ({name})"));
            let core = if core { ", core dumped" } else { "" };
            format!(
                "killed by signal {signal}{}{core}",
                name.unwrap_or_default()
            )
        }
        Outcome::SpawnFailed { .. }
        | Outcome::TimedOut {}
        | Outcome::Canceled {}
        | Outcome::Denied {}
        | Outcome::Busy {}
        | Outcome::Conflict {}
        | Outcome::Expired {}
        | Outcome::Lost {}
        | Outcome::Unreachable {}
        | Outcome::Unknown {} => outcome.to_string(),
    }
}

fn who(controller: &Controller) -> (crate::crypto::PublicKey, String, String) {
    let name = controller.name.as_deref().unwrap_or("(invited)");
    (
        controller.key,
        clean_name(name),
        controller.remote.to_string(),
    )
}

fn clean_name(name: &str) -> String {
    escape::line(name.as_bytes(), limits::NAME).into_owned()
}

fn command(argv: &[OsText]) -> String {
    let words = argv.iter().map(|word| word.as_os_str().as_encoded_bytes());
    let mut line = Vec::new();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        match shlex::bytes::try_quote(word) {
            Ok(quoted) => line.extend_from_slice(&quoted),
            Err(_) => line.extend_from_slice(word),
        }
    }
    escape::line(&line, COMMAND).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_in_the_log_reads_as_a_sentence() {
        let signaled = |core| Outcome::Signaled { signal: 9, core };
        for (outcome, text) in [
            (Outcome::Exited { code: 0 }, "exited 0"),
            (signaled(false), "killed by signal 9 (KILL)"),
            (signaled(true), "killed by signal 9 (KILL), core dumped"),
            (Outcome::TimedOut {}, "timed out"),
        ] {
            assert_eq!(words(outcome), text);
        }
    }
}
