//! Bounds of the connection between the processes of the agent, each with its reason.

use crate::agent::limits::{LANE, LANE_AT_EXIT, MAX_LANE, READ_AHEAD};

/// Bytes of one frame. A start has the bytes of a request, a line of at most a mebibyte, and its record; a
/// picture of a terminal has at most [`limits::SCREEN`](crate::agent::limits::SCREEN).
pub const FRAME: usize = 4 << 20;

/// Bytes read from the socket at once.
pub const READ: usize = 64 << 10;

/// Bytes of the ring of an output: what is held at most, and what is read in addition after the end of the leader. A file
/// of rings has memory only where it was written.
pub const OUTPUT_RING: u64 = MAX_LANE + READ_AHEAD + LANE_AT_EXIT;

/// Bytes of the part of that ring that is in use until the window of the stream has grown.
pub const FIRST_EXTENT: u64 = LANE + READ_AHEAD + LANE_AT_EXIT;

/// Bytes of the ring of a stdin: the window of a stream, above which a controller sends nothing.
pub const INPUT_RING: u64 = 1 << 20;

/// Offset from which on a ring is mapped: a job with less output or input is served by a few system calls.
pub const MAPPED: u64 = 64 << 10;

/// Bytes of a piece that is read from a mapped ring.
pub const PIECE: usize = 128 << 10;

/// Bytes of such pieces whose memory is kept to be used again, while any ring is mapped: what a fast transfer has between
/// ring and socket.
pub const SPARE: usize = 4 << 20;

/// Descriptors passed in one message. Linux takes 253.
pub const DESCRIPTORS: usize = 64;
