//! What `udpctl` does, in rooms named after the user's nouns.
//!
//! Each room is a sans-IO machine (session events in, session commands out) so that the simulator can
//! drive it, and one thin loop that feeds it from the network thread, the terminal and signals.

#[cfg(feature = "cli")]
pub mod chat;
pub mod client;
pub mod console;
pub mod exec;
pub mod journal;
pub mod known_agents;
pub mod limits;
pub mod query;
#[cfg(feature = "cli")]
pub mod send;
#[cfg(feature = "cli")]
pub mod signals;
pub mod stdio;
pub mod tickets;
