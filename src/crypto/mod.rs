//! Noise handshake, sealed datagrams, replay window, RETRY tokens, and keys: in memory and on disk.
//!
//! Sans-IO, but for `key_file`. One suite, fixed (see [`suite`]); a new suite is a new protocol version. Not here: when to rekey,
//! what a payload means, who may connect. Invariants: our copies of secrets are wiped when dropped (what
//! ring and snow hold of them is not) and never printed; comparisons of secrets take constant time;
//! nothing here asks the operating system for randomness, and only `key_file` touches files.

mod handshake;
mod invite;
pub mod key_file;
mod keys;
mod mac;
mod replay;
mod resolver;
mod seal;
pub mod suite;
mod token;

pub use handshake::{Initiator, Responder, TrafficKeys};
pub use invite::{InviteHash, InviteToken, ParseInviteError};
pub use keys::{ParseKeyError, PublicKey, SecretKey};
pub use mac::AgentMac;
pub use replay::ReplayWindow;
pub use seal::{OpeningKey, SealingKey};
pub use token::TokenKey;

/// Bytes did not come from who they should, or were changed on the way. Deliberately says no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forged;
