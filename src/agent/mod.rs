//! The agent: everything of `udpagent` above the sessions.
//!
//! [`core`], [`jobs`] and [`chat`] are sans-IO: session events in, commands out, so that the simulator can run a
//! whole agent. [`access`] decides who may connect and run commands. [`daemon`] is the thread that feeds the
//! service from the network, pipes, pidfds, the terminal and changed files.

pub mod access;
pub mod audit;
mod cgroup_limits;
pub mod chat;
pub mod config;
pub mod core;
pub mod daemon;
pub mod front;
pub mod ipc;
pub mod jobs;
pub mod limits;
pub mod log;
pub mod note;
pub mod outbox;
pub mod recorder;
mod size;
pub mod supervisor;
mod switch;

pub use cgroup_limits::CgroupLimits;
pub use daemon::{Agent, Config, StartError, start};
