//! End of a chat, and its description in words.

use std::fmt;

use crate::control::contact::{Failure, no_answer};
use crate::message::CloseCode;
use crate::session::Violation;
use crate::{escape, message};

/// Reason for the end of a chat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// This side has left.
    Left,
    /// No agent has answered.
    Unreachable {
        /// True if the network has reported that no address is reached.
        is_refused: bool,
        /// That report, and the addresses if there are several, in words.
        note: Option<String>,
    },
    /// The agent answered before, and no longer does.
    Lost,
    /// The key may not use the chat.
    Denied,
    /// The agent does not take the request; its reason is not escaped.
    Refused(String),
    /// The agent ended the call, because it is shut down.
    PutOut,
    /// The agent ended the session; its reason is not escaped.
    ByPeer(String),
    /// The agent broke the protocol.
    Violation(Violation),
    /// The agent sent a line that does not end.
    LineTooLong,
    /// This side has no capacity for another session.
    Full,
}

impl End {
    /// Returns the end that follows from a failed contact.
    pub(super) fn of(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable { is_refused, note } => Self::Unreachable { is_refused, note },
            Failure::Full => Self::Full,
            Failure::Lost => Self::Lost,
            Failure::ByPeer { code, .. } if code == CloseCode::Revoked as u64 => Self::Denied,
            Failure::ByPeer { reason, .. } => Self::ByPeer(reason),
            Failure::Violation(what) => Self::Violation(what),
            Failure::Local => Self::Left,
        }
    }

    /// Returns true if nothing went wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        matches!(self, Self::Left)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted =
            |text: &str| escape::line(text.as_bytes(), message::limits::CHAT_TEXT).into_owned();
        match self {
            Self::Left => f.write_str("left"),
            Self::Unreachable { is_refused, note } => {
                f.write_str(no_answer(*is_refused))?;
                let note = note.as_ref();
                note.map_or(Ok(()), |note| write!(f, ": {note}"))
            }
            Self::Lost => f.write_str("no answer any more"),
            Self::Denied => f.write_str("denied: this key may not chat there"),
            Self::Refused(reason) => write!(f, "the agent refuses: {}", quoted(reason)),
            Self::PutOut => f.write_str("the agent is shutting down"),
            Self::ByPeer(reason) if reason.is_empty() => {
                f.write_str("the agent has ended the session")
            }
            Self::ByPeer(reason) => {
                write!(f, "the agent has ended the session: {}", quoted(reason))
            }
            Self::Violation(what) => write!(f, "the agent broke the protocol: {what}"),
            Self::LineTooLong => f.write_str("the agent broke the protocol: a line without end"),
            Self::Full => f.write_str("too many sessions here"),
        }
    }
}
