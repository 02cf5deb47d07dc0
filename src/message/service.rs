//! Built-in services of an agent: programs of a job that are part of the agent itself.
//!
//! Not their work, which is the agent's, and not the check of what a key may do. Each has a request of its own. Invariant:
//! a destination that was parsed is one that can be connected to and printed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CopyWork, OsText, RequestId};
use crate::escape;

/// Built-in service that a job runs in the place of a program.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Connects stdin and stdout with a socket.
    Forward(ForwardTarget),
    /// Speaks the copy protocol on stdin and stdout.
    Copy(CopyWork),
}

impl Service {
    /// Returns the name of the service.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Copy(_) => "copy",
        }
    }

    /// Returns the words that stand for the service where the argv of a command stands: in lists of jobs and in the
    /// audit.
    #[must_use]
    pub fn argv(&self) -> Vec<OsText> {
        let words = match self {
            Self::Forward(target) => vec![target.to_text()],
            Self::Copy(work) => work.words(),
        };
        std::iter::once(self.name().into()).chain(words).collect()
    }

    /// Returns true if the service reads its input from the controller.
    #[must_use]
    pub const fn reads_stdin(&self) -> bool {
        match self {
            Self::Forward(_) | Self::Copy(_) => true,
        }
    }
}

/// Destination of a forwarded connection, as seen from the agent's host.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawTarget", into = "RawTarget")]
pub enum ForwardTarget {
    /// A TCP port.
    Tcp(Destination),
    /// A unix stream socket.
    Unix(SocketPath),
}

/// Host and port of a TCP connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Destination {
    host: String,
    port: u16,
}

/// Absolute path of a unix socket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SocketPath(OsText);

/// Form of a destination in a request.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawTarget {
    Tcp { host: String, port: u16 },
    Unix { path: OsText },
}

/// Reason why something is no destination of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// The host is empty, too long, or contains characters that no name has.
    Host,
    /// The port is 0.
    Port,
    /// The path is not absolute, too long, or contains a NUL.
    Path,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "a host to forward to is a name or an address of at most 255 characters",
            Self::Port => "a port to forward to is a number from 1 to 65535",
            Self::Path => "a socket to forward to has an absolute path of at most 107 bytes",
        })
    }
}

impl std::error::Error for TargetError {}

/// Longest name of a host: that of the DNS.
const HOST: usize = 255;

/// Longest path of a unix socket, unix(7).
const PATH: usize = 107;

impl ForwardTarget {
    /// Creates the destination of a TCP connection. `host` is a name, or an address without brackets.
    ///
    /// # Errors
    /// [`TargetError`]
    pub fn tcp(host: impl Into<String>, port: u16) -> Result<Self, TargetError> {
        let host = host.into();
        let is_name = |c: char| !matches!(c, '[' | ']' | '/' | ',' | '*') && !c.is_whitespace();
        let is_sound = (1..=HOST).contains(&host.len())
            && escape::is_clean(&host)
            && host.chars().all(is_name);
        if !is_sound {
            return Err(TargetError::Host);
        }
        if port == 0 {
            return Err(TargetError::Port);
        }
        Ok(Self::Tcp(Destination { host, port }))
    }

    /// Creates the destination of a unix socket.
    ///
    /// # Errors
    /// [`TargetError::Path`]
    pub fn unix(path: impl Into<OsText>) -> Result<Self, TargetError> {
        let path = path.into();
        let bytes = path.as_os_str().as_encoded_bytes();
        let is_sound = bytes.starts_with(b"/") && bytes.len() <= PATH && !bytes.contains(&b'\0');
        if !is_sound {
            return Err(TargetError::Path);
        }
        Ok(Self::Unix(SocketPath(path)))
    }

    /// Returns the destination as it is shown: `HOST:PORT` or the path.
    #[must_use]
    pub fn to_text(&self) -> OsText {
        match self {
            Self::Tcp(destination) => destination.to_string().as_str().into(),
            Self::Unix(path) => path.0.clone(),
        }
    }
}

impl Destination {
    /// Returns the name or the address of the host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, which is not 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl SocketPath {
    /// Returns the path.
    #[must_use]
    pub const fn as_text(&self) -> &OsText {
        &self.0
    }
}

impl TryFrom<RawTarget> for ForwardTarget {
    type Error = TargetError;

    fn try_from(raw: RawTarget) -> Result<Self, TargetError> {
        match raw {
            RawTarget::Tcp { host, port } => Self::tcp(host, port),
            RawTarget::Unix { path } => Self::unix(path),
        }
    }
}

impl From<ForwardTarget> for RawTarget {
    fn from(target: ForwardTarget) -> Self {
        match target {
            ForwardTarget::Tcp(Destination { host, port }) => Self::Tcp { host, port },
            ForwardTarget::Unix(SocketPath(path)) => Self::Unix { path },
        }
    }
}

/// Request to forward a connection: the bytes of the data lane are those of the connection, both ways.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forward {
    /// Request id. The same id never connects twice.
    pub id: RequestId,
    /// Destination, which the agent's host resolves and connects to.
    pub to: ForwardTarget,
    /// Name of the user on the agent's host whom the connection belongs to. Default: the user whom the key's commands
    /// run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Lease in milliseconds, as in `exec`: the connection is reset when the controller was silent for longer. Default:
    /// 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Age of the request in milliseconds, as in `exec`. Default: 0, a first request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub age_ms: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ForwardTarget, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_destination_is_shown_as_it_is_typed() {
        for (json, text) in [
            (r#"{"tcp":{"host":"db","port":5432}}"#, "db:5432"),
            (r#"{"tcp":{"host":"::1","port":1}}"#, "[::1]:1"),
            (r#"{"unix":{"path":"/run/x.sock"}}"#, "/run/x.sock"),
        ] {
            let target = parse(json).unwrap();
            assert_eq!(target.to_text(), text.into());
            assert_eq!(serde_json::to_string(&target).unwrap(), json);
        }
    }

    #[test]
    fn a_destination_that_cannot_be_one_is_refused() {
        let long = "x".repeat(256);
        for (target, error) in [
            (ForwardTarget::tcp("", 1), TargetError::Host),
            (ForwardTarget::tcp(long, 1), TargetError::Host),
            (ForwardTarget::tcp("a b", 1), TargetError::Host),
            (ForwardTarget::tcp("a\n", 1), TargetError::Host),
            (ForwardTarget::tcp("[::1]", 1), TargetError::Host),
            (ForwardTarget::tcp("*", 1), TargetError::Host),
            (ForwardTarget::tcp("db", 0), TargetError::Port),
            (ForwardTarget::unix(""), TargetError::Path),
            (ForwardTarget::unix("run/x"), TargetError::Path),
            (ForwardTarget::unix("/a\0b"), TargetError::Path),
            (
                ForwardTarget::unix(format!("/{}", "x".repeat(107)).as_str()),
                TargetError::Path,
            ),
        ] {
            assert_eq!(target, Err(error));
        }
        assert!(parse(r#"{"tcp":{"host":"a b","port":1}}"#).is_err());
        assert!(parse(r#"{"udp":{"host":"a","port":1}}"#).is_err());
    }
}
