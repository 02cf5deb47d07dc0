//! Noise handshake, sealed datagrams, replay window, RETRY tokens, and keys in memory and on disk.
//!
//! Sans-IO, except for `key_file`. The suite is fixed (see [`suite`]): another suite is another protocol
//! version. Not here: the time to rekey, the meaning of payloads, and authorization.
//!
//! Invariants: this module's copies of secrets are wiped when dropped (those in ring and snow are not) and
//! never printed; comparisons of secrets take constant time; randomness is injected, and only `key_file`
//! touches files.

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

/// Failed authentication: the bytes are not from the expected sender, or were changed on the way. The error
/// gives no detail, so that it cannot help an attacker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forged;
