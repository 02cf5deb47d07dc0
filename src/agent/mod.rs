//! The agent: everything of `udpagent` above the sessions.
//!
//! It is two processes. The [`supervisor`] has the rights: it starts, follows and ends processes and keeps what must
//! survive. The [`front`] speaks with the network: its [`core`], [`jobs`] and [`chat`] are sans-IO, session events and
//! reports in, commands out, so that the simulator can run a whole agent. An [`own_command`] is what its user runs at its prompt. [`ipc`] connects them, the [`recorder`] writes
//! log and audit in a process of its own, the [`bot`] runs the command that answers messages of the chat, the [`services`] are what a job may run in the place of a program, the [`owner`]'s tools ask the supervisor on a socket, and [`daemon`] puts them
//! together. [`access`] decides who may connect and run commands.

pub mod access;
pub mod audit;
pub mod bot;
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
pub mod own_command;
pub mod owner;
pub mod recorder;
pub mod sandbox;
pub mod service_manager;
pub mod services;
mod size;
pub mod supervisor;
mod switch;

pub use crate::process::{CgroupLimits, CgroupParent};
pub use daemon::{Agent, Config, StartError, start};
