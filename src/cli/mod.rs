//! What was typed: clap definitions, and the man pages and completions made from them.
//!
//! Each program's module parses, resolves what was typed into what it means here, runs, and turns the
//! result into an exit status. The only floor besides the binaries that uses `anyhow`.

pub mod agent;
pub mod completions;
pub mod ctl;
pub mod failure;
pub mod man;
mod memory;
