//! What the agent's own terminal shows of the chat, one line each.
//!
//! Invariant: whatever was said, the text of a line is one line and cannot act on the terminal.

use std::fmt;
use std::net::SocketAddr;

use crate::net::{self, PlainText};
use crate::{escape, message};

/// Something that happened in the chat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A member said something.
    Said {
        /// Its name.
        from: String,
        /// As it was said, not escaped.
        text: String,
    },
    /// Plain text came: from nobody known.
    Plain {
        /// From where.
        remote: SocketAddr,
        /// As it came, cut to [`net::limits::PLAIN`].
        text: bytes::Bytes,
        /// How many bytes it had.
        length: usize,
    },
    /// A member came.
    Came {
        /// Its name.
        name: String,
    },
    /// A member left.
    Left {
        /// Its name.
        name: String,
    },
    /// Plain text was not shown, because there was too much of it.
    Suppressed {
        /// How many datagrams.
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
                write!(f, "{} (unverified): {text}", net::shown(*remote))
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
    escape::line(name.as_bytes(), message::limits::NAME)
}
