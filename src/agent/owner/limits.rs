//! Bounds of the owner's socket, each with its reason.

use std::time::Duration;

/// Time for which an agent that does not listen is asked again: its program may be in the course of being replaced.
pub const REPLACED: Duration = Duration::from_secs(1);

/// Pause between two such questions.
pub const PAUSE: Duration = Duration::from_millis(20);

/// Connections at the same time: an owner, a monitor, and some to spare. A further one replaces the oldest.
pub const CONNECTIONS: usize = 8;

/// Connections accepted in one turn of the supervisor.
pub const ACCEPTS: usize = 16;

/// Connections that wait to be accepted.
pub const BACKLOG: i32 = 16;

/// Octets of a request: many times what one has.
pub const REQUEST: usize = 1 << 10;

/// Time from the connection to the last octet of the answer. A client has nothing to wait for.
pub const CONNECTION: Duration = Duration::from_secs(5);

/// Time for the front to report its counters. If it does not, the last ones known are told, and that they are.
pub const COUNTS: Duration = Duration::from_secs(1);

/// Time for a connection that waits for a replacement of the program: the time of its trial, and some to spare.
pub const RELOAD: Duration = Duration::from_secs(15);

/// Time that a client waits for the agent: longer than any answer takes.
pub const ANSWER: Duration = Duration::from_secs(20);

/// Keys whose last session is remembered. Those in the agent's files are far fewer.
pub const KEYS_SEEN: usize = 1 << 14;
