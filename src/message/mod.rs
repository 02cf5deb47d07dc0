//! What is said inside a session: calls, lanes, outcomes. Values and their JSON, no I/O.
//!
//! A call is opened by the controller with one [`Request`] as the first line of its control lane.
//! The agent answers there with [`Reply`] lines; bytes of stdin, stdout and stderr travel on the main
//! and error lanes. Each line is one JSON object with `"v":1`; unknown fields are ignored, unknown
//! requests answered with [`Reply::Unsupported`].

pub mod limits;
mod line;
pub mod outcome;
mod reply;
mod request;
pub mod status;
mod text;

pub use line::{LineError, Lines, to_line};
pub use outcome::Outcome;
pub use reply::{Cause, JobState, JobView, Reply};
pub use request::{Exec, OnDisconnect, Request, Terminal, Window};
pub use text::OsText;

use std::fmt;
use std::str::FromStr;

/// Version of the messages, in every line.
pub const VERSION: u32 = 1;

/// Why a session is closed, for programs (CLOSE frame).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseCode {
    /// The side that closes has all it wanted.
    Done = 0,
    /// The peer broke the protocol.
    Violation = 1,
    /// The program is ending.
    Shutdown = 2,
    /// The key may no longer connect.
    Revoked = 3,
    /// As many datagrams were sealed under the session's key as are safe; open a new session.
    KeyUsedUp = 4,
}

/// Why half a stream is given up (RESET, STOP).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamCode {
    /// No longer wanted.
    Unwanted = 0,
    /// The reader at the far end is gone: a closed pipe.
    BrokenPipe = 1,
    /// The source failed.
    Failed = 2,
}

/// The 128-bit name of a command, made by the controller. Text form: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub [u8; 16]);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a request id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseRequestIdError;

impl fmt::Display for ParseRequestIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request id is 32 hexadecimal digits")
    }
}

impl std::error::Error for ParseRequestIdError {}

impl FromStr for RequestId {
    type Err = ParseRequestIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseRequestIdError);
        }
        u128::from_str_radix(text, 16)
            .map(|id| Self(id.to_be_bytes()))
            .map_err(|_| ParseRequestIdError)
    }
}

impl serde::Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
