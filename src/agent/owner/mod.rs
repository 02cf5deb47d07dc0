//! The owner's tools: questions to the running agent over a Unix socket in its state directory, and their answers.
//!
//! Not the answers themselves, which the [`supervisor`](super::supervisor) gives from what it knows, and not their
//! presentation to people, which is that of the command line. Invariants: only the agent's user and root are
//! answered; the socket of an ended agent is not mistaken for that of a running one. Of several agents that share
//! the directory, the last one started is asked.

mod ask;
pub mod limits;
mod messages;
mod metrics;
mod socket;

pub use ask::{AskError, ask};
pub use messages::{
    Commands, Datagrams, DroppedRecords, Handshakes, KeyView, Reply, Request, Sessions, Status,
};
pub use metrics::{DOWN, metrics};
pub use socket::OwnerSocket;
