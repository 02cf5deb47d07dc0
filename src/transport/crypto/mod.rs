//! Noise handshake, sealed datagrams, replay window, RETRY tokens, and keys in memory and on disk.
//!
//! Sans-IO, except for `key_file`. The suite is fixed (see [`suite`]): another suite is another protocol
//! version. Not here: the time to rekey, the meaning of payloads, and authorization.
//!
//! Invariants: this module's copies of secrets are wiped when dropped (those in aws-lc-rs and snow are not) and
//! never printed; comparisons of secrets take constant time; randomness is injected, and only `key_file`
//! touches files.
//!
//! # Example
//!
//! A handshake, and a datagram sealed with its keys.
//!
//! ```
//! use udpagent_transport::crypto::{Initiator, Responder, SecretKey};
//! use udpagent_transport::rng::Rng;
//!
//! let mut rng = Rng::from_seed([1; 32]);
//! let (controller, agent) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
//! let prologue = b"authenticated, not encrypted";
//!
//! let mut first = Vec::new();
//! let mut initiator =
//!     Initiator::start(&controller, &agent.public(), prologue, b"request", &mut rng, &mut first)?;
//!
//! let mut payload = Vec::new();
//! let (responder, key) = Responder::read(&agent, prologue, &first, &mut payload, &mut rng)?;
//! assert_eq!(key, controller.public());
//! assert_eq!(payload, b"request");
//! let mut second = Vec::new();
//! let agent_keys = responder.respond(b"answer", &mut second)?;
//!
//! let mut payload = Vec::new();
//! let controller_keys = initiator.finish(&second, &mut payload)?;
//! assert_eq!(payload, b"answer");
//!
//! // The counter is the nonce: each is used once.
//! let (counter, header) = (1, b"header");
//! let mut datagram = b"headerplaintext".to_vec();
//! controller_keys.seal.seal(counter, header, &mut datagram, header.len());
//! let opened = agent_keys.open.open(counter, header, &mut datagram[header.len()..])?;
//! assert_eq!(opened, b"plaintext");
//! # Ok::<(), udpagent_transport::crypto::Forged>(())
//! ```

mod handshake;
mod invite;
pub mod key_file;
mod key_text;
mod keys;
mod mac;
mod replay;
mod reset_token;
mod resolver;
mod seal;
mod shared_secrets;
pub mod suite;
mod token;
mod x25519;

pub use handshake::{Initiator, Responder, TrafficKeys};
pub use invite::{InviteHash, InviteToken, ParseInviteError};
pub use keys::{ParseKeyError, PublicKey, SecretKey};
pub use mac::AgentMac;
pub use replay::ReplayWindow;
pub use reset_token::ResetToken;
pub use seal::{OpeningKey, SealingKey};
pub use shared_secrets::SharedSecrets;
pub use token::TokenKey;

/// Failed authentication: the bytes are not from the expected sender, or were changed on the way. The error
/// gives no detail, so that it cannot help an attacker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forged;
