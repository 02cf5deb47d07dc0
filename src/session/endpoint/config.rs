//! Configuration of an endpoint: identity, windows, and the authorizer of new sessions.

use crate::crypto::{PublicKey, SecretKey};
use crate::peer_addr::PeerAddr;
use crate::session::{InitFingerprint, ResetRecord, limits};
use crate::time::Instant;
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
    /// Run of the agent that this endpoint continues; `None` for a new run.
    pub run: Option<Run>,
    /// Sessions of earlier endpoints, whose controllers are told that they are lost; newest last. A record that was
    /// given to an earlier endpoint less than [`limits::IDLE`] ago belongs to them: its reset may not have arrived.
    pub resets: Vec<ResetRecord>,
}

/// Run of an agent whose requests are remembered beyond its endpoint. An endpoint that continues it accepts
/// early data with the tickets of the earlier one, so that controllers attach anew in one round trip.
#[derive(Clone, Debug)]
pub struct Run {
    /// Random number of the run, not 0.
    pub epoch: u64,
    /// Start of the run: the origin of the agent's time.
    pub start: Instant,
    /// Fingerprints of the INITs that earlier endpoints of this run answered, and when; oldest first. One that is
    /// younger than [`limits::INIT_REGISTER_AGE`](crate::session::limits::INIT_REGISTER_AGE) and missing here could be
    /// answered again with its early data.
    pub seen: Vec<(Instant, InitFingerprint)>,
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
            run: None,
            resets: Vec::new(),
        }
    }
}
