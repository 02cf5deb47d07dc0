//! Command lines of the two programs: clap definitions, and the man pages and completions made from them.
//!
//! One file per subcommand, its options on top and its `run` below. Each program's module parses the command
//! line, resolves it to what it means on this machine, runs it, and turns the result into an exit status.
//! Not here: anything that a program other than these two would need. The only layer besides the binaries that
//! uses `anyhow`.

pub mod agent;
mod bot_args;
pub mod completions;
pub mod ctl;
pub mod failure;
mod local_agent;
pub mod man;
mod memory;
mod output;
