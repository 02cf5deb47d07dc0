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
