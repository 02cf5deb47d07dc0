//! What `udpagent` does, in rooms named after the user's nouns.
//!
//! The service is sans-IO: session events in, commands out, so that the simulator can run a whole agent.
//! `run` is the thread that feeds it from the network, from pipes, pidfds, the terminal and changed files.

pub mod access;
pub mod audit;
pub mod chat;
pub mod config;
pub mod core;
pub mod daemon;
pub mod jobs;
pub mod limits;
pub mod note;
pub mod outbox;

pub use daemon::{Agent, Config, StartError, start};
