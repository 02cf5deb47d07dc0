//! Setup of an endpoint: identity, windows, and the authority that admits sessions.

use crate::crypto::{PublicKey, SecretKey};
use crate::peer_addr::PeerAddr;
use crate::session::limits;
use crate::wire::limits::INVITE;

/// Who may open a session.
pub trait Gate: Send {
    /// Whether this controller may, from this address, showing this invitation.
    fn admit(&mut self, key: &PublicKey, from: PeerAddr, invite: Option<&[u8; INVITE]>) -> bool;
}

/// How an endpoint is set up.
pub struct Config {
    /// Who this end is.
    pub identity: SecretKey,
    /// Who may connect; `None` for a controller, which takes no sessions.
    pub gate: Option<Box<dyn Gate>>,
    /// Credit kept open per stream beyond what was consumed.
    pub stream_window: u64,
    /// The same per session.
    pub session_window: u64,
    /// Datagrams per transmit: what the driver's sockets can send at once.
    pub segments: usize,
    /// Fingerprints of INITs that an earlier run answered ([`Event::InitSeen`]).
    pub seen: Vec<u64>,
}

impl Config {
    /// A controller's, or with a gate an agent's.
    #[must_use]
    pub fn new(identity: SecretKey, gate: Option<Box<dyn Gate>>) -> Self {
        Self {
            identity,
            gate,
            stream_window: limits::STREAM_WINDOW,
            session_window: limits::SESSION_WINDOW,
            segments: 1,
            seen: Vec::new(),
        }
    }
}
