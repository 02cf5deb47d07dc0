//! The transport of udpagent: encrypted sessions with streams, over UDP.
//!
//! The crate `udpagent` re-exports all of it, and describes its layers. This is what handles each datagram: release builds
//! optimize it for speed, and what is above it for size.

pub mod crypto;
#[doc(hidden)]
pub mod escape;
pub mod net;
pub mod peer_addr;
pub mod rng;
pub mod session;
pub mod time;
pub mod wire;
