//! Log lines of the notes of the service.

use crate::agent::note::Note;
use crate::escape;
use crate::message::{OsText, limits};

/// Bytes of a command line that a log line shows.
const COMMAND: usize = 256;

/// Writes a note to the log.
pub fn write(note: &Note) {
    match note {
        Note::Opened {
            key, name, remote, ..
        } => {
            let name = clean_name(name.as_deref().unwrap_or("(invited)"));
            tracing::info!(%key, %remote, "session of {name}");
        }
        Note::Accepted { id, key, argv } => {
            tracing::info!(%key, request = %id, "accepted: {}", command(argv));
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
        Note::Refused {
            id,
            key,
            outcome,
            denied,
        } => {
            if let Some(denied) = denied {
                tracing::info!(%key, request = %id, "denied: {denied}");
            } else {
                tracing::info!(%key, request = %id, "not run: {outcome:?}");
            }
        }
        Note::Registered { key, name } => {
            tracing::info!(%key, "registered as {}", clean_name(name));
        }
    }
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
