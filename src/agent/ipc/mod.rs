//! The connection between the two processes of the agent: typed messages over a stream socket, and the bytes of
//! jobs in shared memory files.
//!
//! Not the decisions of either side. The supervisor has the rights and treats the front as hostile: every
//! number that comes from it is checked where it is used. Invariant: neither side ever waits for the other;
//! what the socket does not take is queued, and the queue of the supervisor is bounded by the number of jobs,
//! because it reports states and not events.
//!
//! A stream socket and not `SOCK_SEQPACKET`, because a start carries a mebibyte of arguments, more than a
//! packet of a Unix socket may have.

mod descriptors;
mod extent;
mod frames;
pub mod limits;
mod messages;
mod rings;
mod socket_interest;
mod spare;

pub use descriptors::{receive_descriptors, send_descriptors};
pub use extent::Extent;
pub use frames::{FrameError, Frames};
pub use messages::{
    ChatOutput, Feed, FrontCounts, Plain, Remembered, Report, Setup, ToFront, ToSupervisor,
    TypedBefore,
};
pub use rings::{RingFile, RingId};
pub use socket_interest::SocketInterest;

/// Name of the program as a front, as its argument 0.
pub const FRONT: &str = "udpagent-front";
