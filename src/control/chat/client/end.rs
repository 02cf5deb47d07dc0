//! How a chat ended, and what there is to say about it.

use std::fmt;

use crate::message::CloseCode;
use crate::session::{Closed, Violation};
use crate::{escape, message};

/// How a chat ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// As this side wished.
    Left,
    /// Nothing ever answered.
    Unreachable,
    /// The agent answered before, and no longer does.
    Lost,
    /// The key may not do this.
    Denied,
    /// The agent does not take it; its reason is not escaped.
    Refused(String),
    /// The agent ended the call.
    PutOut,
    /// The agent ended the session; its reason is not escaped.
    ByPeer(String),
    /// The agent broke the protocol.
    Violation(Violation),
    /// The agent sent a line that does not end.
    LineTooLong,
    /// This side has no room for another session.
    Full,
}

impl End {
    /// What the end of a session means for a chat.
    pub(super) fn of(closed: Closed) -> Self {
        match closed {
            Closed::Unreachable => Self::Unreachable,
            Closed::Full => Self::Full,
            Closed::Lost | Closed::KeyUsedUp | Closed::Restarted => Self::Lost,
            Closed::ByPeer { code, .. } if code == CloseCode::Revoked as u64 => Self::Denied,
            Closed::ByPeer { reason, .. } => Self::ByPeer(reason),
            Closed::Violation(what) => Self::Violation(what),
            Closed::Local => Self::Left,
        }
    }

    /// Whether nothing was wrong.
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
            Self::Unreachable => f.write_str(
                "no answer; is udpagent running there, and does it know this controller's key?",
            ),
            Self::Lost => f.write_str("no answer any more"),
            Self::Denied => f.write_str("denied: this key may not chat there"),
            Self::Refused(reason) => write!(f, "the agent refuses: {}", quoted(reason)),
            Self::PutOut => f.write_str("the agent has ended the chat"),
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
