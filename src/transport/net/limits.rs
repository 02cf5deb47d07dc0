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

/// Receive buffer that an agent asks of the kernel, in octets. What waits in a larger one under a flood would be late.
pub const RECEIVE_BUFFER: usize = 4 << 20;

/// Receive buffer that a controller asks of the kernel, in octets: the replies of a fleet arrive together. With the initial
/// credit of 200 hosts in use at once, none is dropped.
pub const FLEET_RECEIVE_BUFFER: usize = 16 << 20;

/// Send buffer asked of the kernel, in octets.
pub const SEND_BUFFER: usize = 2 << 20;

/// Octets of one receive buffer: the longest run of datagrams that the kernel joins (GRO), in whole pages.
pub const RECEIVE: usize = 64 << 10;

/// Alignment of receive buffers in octets. The kernel keeps the bytes of large datagrams from the beginning of a page on,
/// and processors of AMD since Zen 3 copy a tenth as fast to a place that is up to 31 octets further in its page than the
/// source (`rep movsb`): 1.4 instead of 18 GB/s.
pub const PAGE: usize = 4096;

/// Receive buffers per system call: half a mebibyte of buffers, which a second-level cache holds.
pub const RECEIVE_BATCH: usize = 8;

/// Batches received from one carrier in an iteration of the thread's loop.
pub const RECEIVES_PER_ITERATION: usize = 4;

/// Received octets a second from which on wake-ups are moderated: a gigabit a second.
pub const BULK_RATE: u64 = 1_000_000_000 / 8;

/// Interval of the measurement of that rate.
pub const BULK_INTERVAL: Duration = Duration::from_millis(2);

/// Longest pause in which datagrams are not waited for: four of the largest ones at a GiB a second. It is also how long a
/// datagram of another session may wait.
pub const PAUSE: Duration = Duration::from_micros(250);

/// Shortest pause that is worth a system call: the kernel adds as much to it (`PR_SET_TIMERSLACK`).
pub const PAUSE_MIN: Duration = Duration::from_micros(50);

/// Commands taken in an iteration.
pub const COMMANDS_PER_ITERATION: usize = 256;

/// Transmits in an iteration: about a mebibyte.
pub const TRANSMITS_PER_ITERATION: usize = 16;

/// Errors in a row before a carrier counts as failed: an ICMP message causes one of them.
pub const RECEIVE_ERRORS: u32 = 64;

/// Reports of undelivered datagrams that wait for the driver: several for each address of a host. They may be forged.
pub const REFUSALS: usize = 16;

/// Calls in a row that receive from a socket, or send on it, each of which an ICMP report may fail. They may be forged.
pub const REPORTED_CALLS: usize = 8;

/// Time that a thread which ends spends on sending what is due.
pub const SHUTDOWN_TIME: Duration = Duration::from_millis(100);

/// Datagrams on their way to one end of a pair in memory: more than a window of the smallest full ones. The windows of
/// the sessions bound their bytes.
pub const MEMORY_QUEUE: usize = 4096;
