//! Bounds of the agent's thread, each with its reason.

use std::time::Duration;

/// Bytes taken from a pipe at once: what it holds, unless the process has made it larger.
pub const READ: usize = 64 << 10;

/// Things that processes did, taken in one turn: at 64 KiB each a few milliseconds of work.
pub const PROCESS_EVENTS_PER_TURN: usize = 64;

/// Events of the network taken in one turn.
pub const EVENTS_PER_TURN: usize = 256;

/// Readiness reported by one look at the poll.
pub const READY: usize = 256;

/// A changed file is read so long after its first change: editors and programs replace one in several steps,
/// and a removed key is promised to have gone within a second.
pub const SETTLED: Duration = Duration::from_millis(300);

/// Trees that are being ended when all sessions are closed get this long: with the service's own patience
/// under eight seconds.
pub const LAST_TREES: Duration = Duration::from_millis(500);

/// And the network thread this long to send the last datagrams.
pub const LAST_DATAGRAMS: Duration = Duration::from_millis(500);

/// ReplayLog of INITs kept over a restart: as many as the session machine remembers.
pub const FINGERPRINTS: usize = crate::session::limits::INIT_REGISTER;
