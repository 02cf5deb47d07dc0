//! The standard streams, each on a thread of its own, so that a terminal that is held or a pipe that
//! nobody reads stops only itself.
//!
//! Not here: what is written. Invariant: at most one batch is under way to a thread; what waits behind it
//! is bounded by the credit of those whose bytes it is.

mod course;
mod reader;
mod writer;

pub use course::{Ledger, Part};
pub use reader::{Chunk, Reader};
pub use writer::{Piece, Writer, Written};
