//! A scriptable remote-command agent and controller over UDP.
//!
//! The library is a house of floors; each imports only from those below it, and data goes down one
//! stair and up the other (`udpagent-protocol(7)` is the normative text for what crosses the wire):
//!
//! ```text
//! cli                    what was typed: clap definitions, man pages, completions
//! client                 the client for programs: commands, pings and chats as blocking calls
//! agent      control     what each program does, in rooms named after the user's nouns
//!        message         what is said inside a session: calls, lanes, outcomes
//! net                    carriers of datagrams, the only code that touches a UDP socket; drives `session`
//! session                the sans-IO machine: endpoint, connection, streams, recovery, paths
//! crypto                 Noise handshake, sealed datagrams, replay window, keys on disk
//! wire                   bytes <-> values; no state, no allocation on decode
//! time, rng, escape      our own instant, an injected random source, the one sanitiser
//! duration               durations as people type them
//! contain                panics of foreign code, caught
//! peer_addr              the address of a peer, opaque above the carriers
//! home                   where the programs keep their files, and how those are replaced whole
//! ```
//!
//! The feature `cli`, on by default, is what only the programs need: `cli`, `agent` and `process`, and of `control`
//! the chat and the signals. Without it, [`control::exec`] is a client that runs commands.
//!
//! `wire`, `crypto` (but for the key files), `session` and `message` never touch a socket, a clock, a
//! thread, the operating system's randomness or stdout: time and randomness are arguments.

#[cfg(feature = "cli")]
pub mod agent;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
pub mod contain;
pub mod control;
pub mod crypto;
pub mod duration;
pub mod escape;
pub mod home;
pub mod message;
pub mod net;
pub mod peer_addr;
#[cfg(feature = "cli")]
pub mod process;
pub mod rng;
pub mod session;
pub mod time;
pub mod wire;
