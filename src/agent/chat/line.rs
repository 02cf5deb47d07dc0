//! The lines of the chat on the agent's terminal.
//!
//! Invariant: the text of a line is one line and has no control characters, whatever was written.

use std::fmt;

use crate::net::PlainText;
use crate::peer_addr::PeerAddr;
use crate::{escape, message};

/// An event in the chat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A member sent a message.
    Said {
        /// Name of the member.
        from: String,
        /// The message, not escaped.
        text: String,
    },
    /// Plain text arrived from an unverified source.
    Plain {
        /// Source address.
        remote: PeerAddr,
        /// The text, cut to [`PLAIN`](crate::net::limits::PLAIN).
        text: bytes::Bytes,
        /// Length of the datagram in bytes.
        length: usize,
    },
    /// A member joined.
    Came {
        /// Name of the member.
        name: String,
    },
    /// A member left.
    Left {
        /// Name of the member.
        name: String,
    },
    /// Plain text was suppressed by the rate limit.
    Suppressed {
        /// Number of datagrams.
        datagrams: u64,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { from, text } => {
                let text = escape::line(text.as_bytes(), message::limits::CHAT_TEXT);
                write!(f, "{}: {text}", name(from))
            }
            Self::Plain {
                remote,
                text,
                length,
            } => {
                let text = PlainText {
                    text,
                    length: *length,
                };
                write!(f, "{remote} (unverified): {text}")
            }
            Self::Came { name: who } => write!(f, "* {} came", name(who)),
            Self::Left { name: who } => write!(f, "* {} left", name(who)),
            Self::Suppressed { datagrams } => {
                write!(f, "* {datagrams} plain datagrams not shown")
            }
        }
    }
}

fn name(name: &str) -> std::borrow::Cow<'_, str> {
    escape::line(name.as_bytes(), message::limits::MEMBER_NAME)
}
