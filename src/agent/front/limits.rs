//! Bounds of the front's loop, each with its reason.

use std::time::Duration;

/// Messages of the supervisor in one turn: at 64 KiB of output each a few milliseconds of work.
pub const MESSAGES_PER_TURN: usize = 64;

/// Network events of one turn.
pub const EVENTS_PER_TURN: usize = 256;

/// Readiness events of one poll.
pub const READY: usize = 16;

/// Time for the network thread to send the last datagrams.
pub const LAST_DATAGRAMS: Duration = Duration::from_millis(500);

/// Time for the supervisor to send what a front needs at its start.
pub const SETUP: Duration = Duration::from_secs(10);
