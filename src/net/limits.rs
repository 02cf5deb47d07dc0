//! Bounds of the network thread, each with its reason.

use std::time::Duration;

/// Commands that wait in the channel to the network thread: those of one iteration. Its memory is filled when a program
/// starts, and the page faults of a larger one delay the first datagram.
pub const COMMANDS: usize = COMMANDS_PER_ITERATION;

/// Events that wait in the channel from it; more wait in their sessions, bounded by their windows.
pub const EVENTS: usize = 4096;

/// Octets kept of a plain-text datagram: a chat line is shorter.
pub const PLAIN: usize = 1024;

/// Interval between two reports of suppressed plain text.
pub const SUPPRESSED_INTERVAL: Duration = Duration::from_secs(1);

/// Receive buffer asked of the kernel, in octets: the replies of a fleet arrive together.
pub const RECEIVE_BUFFER: usize = 4 << 20;

/// Send buffer asked of the kernel, in octets.
pub const SEND_BUFFER: usize = 2 << 20;

/// Octets of one receive buffer: the longest run of datagrams that the kernel joins (GRO).
pub const RECEIVE: usize = 65_535;

/// Receive buffers per system call: half a mebibyte of buffers, which a second-level cache holds.
pub const RECEIVE_BATCH: usize = 8;

/// Batches received from one carrier in an iteration of the thread's loop.
pub const RECEIVES_PER_ITERATION: usize = 4;

/// Commands taken in an iteration.
pub const COMMANDS_PER_ITERATION: usize = 256;

/// Transmits in an iteration: about a mebibyte.
pub const TRANSMITS_PER_ITERATION: usize = 16;

/// Errors in a row before a carrier counts as failed: an ICMP message causes one of them.
pub const RECEIVE_ERRORS: u32 = 64;

/// Time that a thread which ends spends on sending what is due.
pub const SHUTDOWN_TIME: Duration = Duration::from_millis(100);

/// Datagrams on their way to one end of a pair in memory: more than a window of the smallest full ones. The windows of
/// the sessions bound their bytes.
pub const MEMORY_QUEUE: usize = 4096;
