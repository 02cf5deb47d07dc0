//! Bounds of the agent's thread, each with its reason.

use std::time::Duration;

/// Bytes of one read: the default capacity of a pipe.
pub const READ: usize = 64 << 10;

/// Process events of one turn: at 64 KiB each a few milliseconds of work.
pub const PROCESS_EVENTS_PER_TURN: usize = 64;

/// Network events of one turn.
pub const EVENTS_PER_TURN: usize = 256;

/// Readiness events of one poll.
pub const READY: usize = 256;

/// Delay between the first change of a file and its load. Editors and programs replace a file in several
/// steps, and a removed key must lose its sessions within a second.
pub const SETTLED: Duration = Duration::from_millis(300);

/// Time for ending the last process trees after all sessions are closed: with the time of the service under
/// eight seconds in total.
pub const LAST_TREES: Duration = Duration::from_millis(500);

/// Time for the network thread to send the last datagrams.
pub const LAST_DATAGRAMS: Duration = Duration::from_millis(500);

/// Fingerprints of INITs kept over a restart: as many as the session layer remembers.
pub const FINGERPRINTS: usize = crate::session::limits::INIT_REGISTER;
