//! Replies other than the one expected, and the words for them.

use crate::control::contact::no_answer;
use crate::control::query::NoReply;
use crate::escape;
use crate::message::limits::NOTE;
use crate::message::{Outcome, Reply};

/// Returns the failure that an unexpected reply amounts to.
pub fn unexpected(reply: &Reply) -> NoReply {
    let (outcome, note) = match reply {
        Reply::Denied {} => (Outcome::Denied {}, None),
        Reply::NoJob {} => (Outcome::Unknown {}, None),
        Reply::Unsupported { reason } => (Outcome::Denied {}, Some(reason.clone())),
        Reply::Accepted { .. }
        | Reply::Started { .. }
        | Reply::Exit { .. }
        | Reply::Jobs { .. }
        | Reply::Pong { .. }
        | Reply::Registered { .. }
        | Reply::Joined { .. }
        | Reply::Said { .. }
        | Reply::Whispered { .. }
        | Reply::Came { .. }
        | Reply::Left { .. }
        | Reply::Delivered { .. }
        | Reply::Missed { .. }
        | Reply::Done {} => (
            Outcome::Lost {},
            Some("the reply does not match the request".to_owned()),
        ),
    };
    NoReply {
        outcome,
        note,
        is_refused: false,
    }
}

/// Returns the reason for a missing reply, in words.
pub fn words(error: &NoReply) -> String {
    match error.outcome {
        Outcome::Unreachable {} => described(no_answer(error.is_refused), error),
        _ => short_words(error),
    }
}

/// The same for one of many hosts.
pub fn short_words(error: &NoReply) -> String {
    described(&error.outcome.to_string(), error)
}

fn described(words: &str, error: &NoReply) -> String {
    match &error.note {
        Some(note) => {
            let note = escape::line(note.as_bytes(), NOTE);
            format!("{words}: {note}")
        }
        None => words.to_owned(),
    }
}
