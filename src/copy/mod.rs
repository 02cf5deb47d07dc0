//! Copying of files and directories over two streams of bytes, one each way: the protocol and both of its sides.
//!
//! Knows nothing of sessions, hosts or jobs: a caller connects a [`Sender`] and a [`Receiver`] by any two streams. Neither
//! touches a stream, a thread or a clock; both perform their file operations in place, and [`driver`] is the loop of a process
//! with one peer. The frames are those of udpagent-protocol(7). Linux only.
//!
//! ```text
//!  sender    BEGIN  DIRECTORY a   FILE b   DATA DATA …   SKIP 1 GiB  DATA  END hash  UP  DONE
//!  receiver                              HAVE 1 GiB, hash                              FAILED …  RESULT
//! ```
//!
//! Small files follow each other without a round trip. The content of a large one begins at once as well; if the receiver
//! holds a part of it from an interrupted copy, it says so with the hash of that part, and the sender leaves out what is
//! equal. A file gets its name when its content is complete and its hash is the one that the sender has counted.
//!
//! Invariants: nothing is written outside the destination; a destination has either what it had before or the whole new
//! content; an item that fails is reported and does not stop the others.

mod content;
mod directory;
pub mod driver;
mod fault;
mod frame;
mod hashing;
mod incoming;
mod library;
pub mod limits;
mod name;
mod nest;
mod parser;
mod partial;
mod pool;
mod receiver;
mod report;
mod requested;
mod scope;
mod sender;
mod total;

pub use fault::Fault;
pub use frame::{Counts, Violation};
pub use library::Library;
pub use name::Name;
pub use partial::PREFIX;
pub use receiver::{Destination, OpenError, Receiver};
pub use report::{Report, Side};
pub use requested::Requested;
pub use scope::Scope;
pub use sender::{Pulled, Sender, Sources};
pub use total::total;

#[cfg(test)]
mod tests;
