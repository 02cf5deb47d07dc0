//! Streams of a run. Each waits on a thread of its own, so that a stopped terminal or a full pipe blocks only itself.
//!
//! Not the form of the output. Invariant: a thread has at most one batch at a time; the queue behind it is bounded
//! by the credit of the hosts whose output it holds.

mod batch_write;
mod reader;
mod sink;
mod slot;
mod writer;

pub use batch_write::{Chunk, Ledger, Part};
pub use reader::{Reader, StdinChunk};
pub use sink::{Sink, Streams};
pub use writer::{Writer, Written};
