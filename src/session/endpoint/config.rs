//! Setup of an endpoint: identity, windows, and the authority that admits sessions.

use crate::crypto::{PublicKey, SecretKey};
use crate::peer_addr::PeerAddr;
use crate::session::limits;
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

/// Setup of an endpoint.
pub struct Config {
    /// Static key of this end.
    pub identity: SecretKey,
    /// Decides about new sessions; `None` for a controller, which accepts none.
    pub authorizer: Option<Box<dyn Authorizer>>,
    /// Credit per stream beyond the consumed bytes.
    pub stream_window: u64,
    /// The same per session.
    pub session_window: u64,
    /// Datagrams per transmit: the most that the driver's sockets send in one call.
    pub segments: usize,
    /// Fingerprints of INITs that an earlier run answered ([`Event::InitSeen`](crate::session::Event::InitSeen)).
    pub seen: Vec<u64>,
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
