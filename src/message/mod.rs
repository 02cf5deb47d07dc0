//! Messages inside a session: calls, their control lane, and outcomes. Sans-IO: values and their JSON.
//!
//! The controller opens a call with one [`Request`] as the first line of its control lane. The agent answers
//! there with [`Reply`] lines; bytes of stdin, stdout and stderr have the other two lanes. Each line is one JSON
//! object with `"v":1`. A receiver ignores unknown members and answers unknown requests with
//! [`Reply::Unsupported`], so that new ones need no new version.
//!
//! # Examples
//! A request as it is sent, and a reply as it is read:
//!
//! ```
//! use udpagent::message::{Lines, Outcome, Reply, Request, to_line};
//!
//! assert_eq!(to_line(&Request::Ping {}), b"{\"v\":1,\"ping\":{}}\n");
//!
//! let mut lines = Lines::default();
//! lines.push(br#"{"v":1,"exit":{"outcome":{"exited":{"code":3}},"stdout":0,"stderr":"#);
//! assert!(lines.next::<Reply>().is_none(), "the line is not complete");
//! lines.push(b"0,\"streams_open\":false}}\n");
//! let reply = lines.next().unwrap().unwrap();
//! assert!(matches!(reply, Reply::Exit { outcome: Outcome::Exited { code: 3 }, .. }));
//! ```

mod copy;
mod fate;
pub mod limits;
mod line;
pub mod lookup;
pub mod marks;
mod member_name;
pub mod outcome;
mod reply;
pub mod report;
mod request;
mod room;
mod service;
mod service_request;
pub mod signal;
pub mod status;
mod table;
mod text;

pub use copy::{CopyFiles, CopyWork};
pub use fate::Fate;
pub use line::{LineError, Lines, to_line};
pub use member_name::key_of_member;
pub use outcome::{Outcome, StartStep};
pub use reply::{Cause, JobState, JobView, Reply};
pub use request::{Exec, OnDisconnect, Request, Terminal, Window};
pub use room::{InvalidRoomName, RoomName};
pub use service::{Destination, Forward, ForwardTarget, Service, SocketPath, TargetError};
pub use table::{AfterSignal, Held, Ran, Reported, Row};
pub use text::OsText;

pub use crate::wire::CloseCode;

use std::fmt;
use std::str::FromStr;

/// Version of the messages, the member `v` of every line.
pub const VERSION: u32 = 1;

/// Code of a RESET or STOP frame: reason for the early end of one direction of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamCode {
    /// The bytes are no longer wanted.
    Unwanted = 0,
    /// The reader of the bytes has closed its pipe.
    BrokenPipe = 1,
    /// The source of the bytes failed.
    Failed = 2,
}

/// Id of a request: 128 bits, chosen by the controller. Its text form is 32 hexadecimal digits.
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

/// Error of a text that is not a request id.
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
