//! What the agent did, as lines of the log.

use crate::agent::note::Note;
use crate::escape;
use crate::message::{OsText, limits};

/// As much of a command line as a line of the log shows.
const COMMAND: usize = 256;

/// Writes one line.
pub fn write(note: &Note) {
    match note {
        Note::Opened {
            key, name, remote, ..
        } => {
            let name = shown(name.as_deref().unwrap_or("(invited)"));
            tracing::info!(%key, %remote, "session of {name}");
        }
        Note::Accepted { id, key, argv } => {
            tracing::info!(%key, request = %id, "runs {}", command(argv));
        }
        Note::Ended {
            id,
            key,
            outcome,
            stdout,
            stderr,
        } => {
            tracing::info!(%key, request = %id, stdout, stderr, "ended: {outcome:?}");
        }
        Note::Refused { id, key, outcome } => {
            tracing::info!(%key, request = %id, "not run: {outcome:?}");
        }
        Note::Registered { key, name } => {
            tracing::info!(%key, "registered as {}", shown(name));
        }
    }
}

fn shown(name: &str) -> String {
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
