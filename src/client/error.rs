//! Errors of the client.

use std::fmt;
use std::io;

use crate::control::chat_client::End;
use crate::control::client::NoSocket;
use crate::control::limits::CAPTURE;
use crate::escape;
use crate::message::limits::CHAT_TEXT;
use crate::message::{Outcome, RequestId};
use crate::net::{ParseAddressError, ResolveError};

/// Reason why a call has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No UDP socket can be opened, or the system has no randomness.
    Network(io::Error),
    /// The network thread has ended.
    NetworkEnded,
    /// The target is not of the form `HOST` or `HOST:PORT`.
    Target(ParseAddressError),
    /// The name of the host has no address.
    Resolve(ResolveError),
    /// No socket here has the family of the host's addresses.
    NoSocket(NoSocket),
    /// The command has no result; the outcome tells whether it ran.
    NoResult {
        /// Outcome, as in the table of udpctl(1).
        outcome: Outcome,
        /// Further explanation, perhaps in the agent's words; not escaped.
        note: Option<String>,
        /// Request id of the command.
        id: Option<RequestId>,
    },
    /// The command has ended, but the agent no longer held some of its output.
    OutputLost {
        /// Outcome of the command.
        outcome: Outcome,
        /// Number of bytes lost.
        bytes: u64,
    },
    /// The command has written more output than is collected; pass a writer instead.
    OutputTooLong,
    /// An input or output of the caller could not be read or written. The command was canceled.
    Stream {
        /// Name of the stream, as in `standard output`.
        name: &'static str,
        /// Its error.
        error: io::Error,
    },
    /// The chat has ended.
    Chat(End),
    /// The agent does not take the message; its reason is not escaped.
    MessageRefused(String),
    /// The message is longer than [`CHAT_TEXT`] bytes.
    MessageTooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str| escape::line(text.as_bytes(), CHAT_TEXT).into_owned();
        match self {
            Self::Network(error) => write!(f, "no UDP socket can be opened: {error}"),
            Self::NetworkEnded => f.write_str("the network thread has ended"),
            Self::Target(error) => error.fmt(f),
            Self::Resolve(error) => error.fmt(f),
            Self::NoSocket(error) => error.fmt(f),
            Self::NoResult { outcome, note, id } => {
                write!(f, "{outcome}")?;
                if let Some(note) = note {
                    write!(f, ": {}", escaped(note))?;
                }
                id.map_or(Ok(()), |id| write!(f, "; request {id}"))
            }
            Self::OutputLost { outcome, bytes } => {
                write!(f, "{outcome}; {bytes} bytes of its output are lost")
            }
            Self::OutputTooLong => write!(f, "an output has more than {CAPTURE} bytes"),
            Self::Stream { name, error } => write!(f, "{name}: {error}"),
            Self::Chat(end) => end.fmt(f),
            Self::MessageRefused(reason) => {
                write!(f, "the agent refuses the message: {}", escaped(reason))
            }
            Self::MessageTooLong => write!(f, "a message has at most {CHAT_TEXT} bytes"),
        }
    }
}

// The text contains that of the cause, so `source` has none.
impl std::error::Error for Error {}
