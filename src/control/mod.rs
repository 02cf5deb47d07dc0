//! The client: commands, chats and questions to agents.
//!
//! Each has a sans-IO part (session events in, session commands out), which the simulator can drive, and a loop that
//! feeds it from the network thread, the standard streams and signals. Not the command line, which is in
//! [`cli`](crate::cli).

#[cfg(feature = "cli")]
pub mod batch;
#[cfg(feature = "cli")]
pub mod chat;
pub mod chat_client;
pub mod client;
pub mod console;
pub mod contact;
#[cfg(feature = "cli")]
pub mod copy;
pub mod exec;
pub mod fleet;
pub mod fold;
#[cfg(feature = "cli")]
pub mod forward;
pub mod host_resolver;
pub mod journal;
pub mod known_agents;
pub mod limits;
pub mod lookups;
pub mod name_set;
#[cfg(feature = "cli")]
pub mod plain_send;
pub mod queries;
pub mod query;
#[cfg(feature = "cli")]
pub mod send;
#[cfg(feature = "cli")]
pub mod signals;
pub mod stdio;
#[cfg(feature = "cli")]
pub mod targets;
pub mod tickets;
pub mod window;
