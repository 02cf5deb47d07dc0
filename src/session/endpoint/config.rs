//! Configuration of an endpoint: identity, windows, and the authorizer of new sessions.

use crate::crypto::{PublicKey, SecretKey};
use crate::peer_addr::PeerAddr;
use crate::session::{InitFingerprint, limits};
use crate::wire::limits::INVITE;

/// Decision about new sessions.
pub trait Authorizer: Send {
    /// Returns true if the controller with this key may open a session from this address with this
    /// invitation.
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        from: PeerAddr,
        invite: Option<&[u8; INVITE]>,
    ) -> bool;
}

/// Configuration of an endpoint.
#[non_exhaustive]
pub struct Config {
    /// Static key of the endpoint.
    pub identity: SecretKey,
    /// Authorizer of new sessions; `None` for a controller, which accepts none.
    pub authorizer: Option<Box<dyn Authorizer>>,
    /// Credit of a stream beyond its consumed bytes.
    pub stream_window: u64,
    /// Credit of a session beyond its consumed bytes.
    pub session_window: u64,
    /// Maximum number of datagrams per [`Transmit`](crate::session::Transmit), as many as the driver's sockets send in one
    /// call.
    pub segments: usize,
    /// Fingerprints of INITs that an earlier run answered
    /// ([`Event::InitSeen`](crate::session::Event::InitSeen)).
    pub seen: Vec<InitFingerprint>,
}

impl Config {
    /// Returns the configuration of an agent, or without an authorizer that of a controller.
    #[must_use]
    pub fn new(identity: SecretKey, authorizer: Option<Box<dyn Authorizer>>) -> Self {
        Self {
            identity,
            authorizer,
            stream_window: limits::STREAM_WINDOW,
            session_window: limits::SESSION_WINDOW,
            segments: 1,
            seen: Vec::new(),
        }
    }
}
