//! Configuration of an endpoint: identity, windows, and the authorizer of new sessions.

use crate::crypto::{PublicKey, SecretKey, SharedSecrets};
use crate::peer_addr::PeerAddr;
use crate::session::{InitFingerprint, ResetRecord, limits};
use crate::time::Instant;
use crate::wire::limits::{INVITE, MIN_DATAGRAM};

/// Decision about new sessions.
pub trait Authorizer: Send {
    /// Decides about a session of the controller with this key from this address with this invitation. Asked for a new
    /// session, and again at each new address.
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        from: PeerAddr,
        invite: Option<&[u8; INVITE]>,
    ) -> Authorization;
}

/// Decision of an [`Authorizer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authorization {
    /// The controller may not open a session.
    Denied,
    /// The controller may open a session.
    Admitted {
        /// Reason of the admission.
        by: AdmittedBy,
        /// Rule for its address.
        address: AddressRule,
    },
}

/// Reason of an admission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdmittedBy {
    /// The key is listed.
    Key,
    /// The key is not listed, but has an invitation. Bounds per key hold for the invitation.
    Invite,
}

/// Rule for the address of a controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressRule {
    /// The decision does not depend on the address.
    Any,
    /// The decision depends on the address, which must therefore be validated before anything from it is acted upon.
    Validated,
}

impl Authorization {
    /// Admission of a listed key from any address.
    pub const UNRESTRICTED: Self = Self::Admitted {
        by: AdmittedBy::Key,
        address: AddressRule::Any,
    };
}

/// Configuration of an endpoint.
#[non_exhaustive]
pub struct Config {
    /// Static key of the endpoint.
    pub identity: SecretKey,
    /// Secrets that it shares with peers.
    pub(in crate::session) secrets: SharedSecrets,
    /// Authorizer of new sessions; `None` for a controller, which accepts none.
    pub authorizer: Option<Box<dyn Authorizer>>,
    /// Credit of a stream beyond its consumed bytes that it has whatever others have: at an agent its first one, because
    /// other bounds hold there, and at a controller the initial credit, because it may have streams of many hosts.
    pub assured_window: u64,
    /// First credit of a stream beyond its consumed bytes, as far as the growth of windows allows.
    pub stream_window: u64,
    /// Upper bound to which that credit grows on a path that needs more.
    pub max_stream_window: u64,
    /// First credit of a session beyond its consumed bytes. It grows with those of its streams.
    pub session_window: u64,
    /// Maximum number of bytes by which all windows exceed the assured ones.
    pub window_growth: u64,
    /// Maximum number of sessions of one key at an agent; see
    /// [`limits::SESSIONS_PER_KEY`](crate::session::limits::SESSIONS_PER_KEY).
    pub sessions_per_key: usize,
    /// Maximum number of datagrams per [`Transmit`](crate::session::Transmit), as many as the driver's sockets send in one
    /// call.
    pub segments: usize,
    /// Largest datagram that the driver's carriers receive and send without fragmentation, at least [`MIN_DATAGRAM`].
    pub max_datagram: usize,
    /// Bytes that a session's key seals before the session ends, at most [`limits::BYTES_PER_KEY`].
    pub bytes_per_key: u64,
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
        let assured_window = match authorizer {
            Some(_) => limits::STREAM_WINDOW,
            None => limits::INITIAL_STREAM_CREDIT,
        };
        Self {
            identity,
            secrets: SharedSecrets::default(),
            authorizer,
            assured_window,
            stream_window: limits::STREAM_WINDOW,
            max_stream_window: limits::MAX_STREAM_WINDOW,
            session_window: limits::SESSION_WINDOW,
            window_growth: limits::WINDOW_GROWTH,
            sessions_per_key: limits::SESSIONS_PER_KEY,
            segments: 1,
            max_datagram: MIN_DATAGRAM,
            bytes_per_key: limits::BYTES_PER_KEY,
            seen: Vec::new(),
            run: None,
            resets: Vec::new(),
        }
    }
}
