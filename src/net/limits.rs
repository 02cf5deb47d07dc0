//! Bounds of the network thread, each with its reason.

/// Commands under way to the network thread.
pub const COMMANDS: usize = 4096;

/// Events under way from it; more wait in the thread, bounded by credit.
pub const EVENTS: usize = 4096;

/// Bytes kept of a plain-text datagram: more is no chat line.
pub const PLAIN: usize = 1024;

/// Receive buffer asked of the kernel: the replies of a fleet arrive together.
pub const RECEIVE_BUFFER: usize = 4 << 20;

/// Send buffer asked of the kernel.
pub const SEND_BUFFER: usize = 2 << 20;

/// One receive: the longest run of datagrams that the kernel glues together (GRO).
pub const RECEIVE: usize = 65_535;

/// Receives per system call: half a megabyte of buffers, which a second-level cache holds.
pub const RECEIVE_BATCH: usize = 8;

/// System calls that receive from one socket before it is the turn of others.
pub const RECEIVES_PER_TURN: usize = 4;

/// Commands taken before it is the turn of the sockets.
pub const COMMANDS_PER_TURN: usize = 256;

/// Transmits before what has arrived is looked at again: about a megabyte.
pub const TRANSMITS_PER_TURN: usize = 32;

/// Events that wait in the thread before it stops receiving. Credit bounds the bytes in them; this
/// bounds the rest: every session of a full endpoint may have a few things to tell.
pub const EVENTS_WAITING: usize = 65_536;

/// Errors in a row before a socket counts as failed: an ICMP message costs one of them.
pub const RECEIVE_ERRORS: u32 = 64;

/// How long a thread that ends tries to get rid of what is due.
pub const LAST_DATAGRAMS: std::time::Duration = std::time::Duration::from_millis(100);
