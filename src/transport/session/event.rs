//! Events for the application, returned by [`Endpoint::poll_event`](super::Endpoint::poll_event).

use std::time::Duration;

use bytes::Bytes;

use super::{InitFingerprint, Path, ResetRecord, SessionHandle, Violation};
use crate::crypto::PublicKey;
use crate::peer_addr::PeerAddr;
use crate::time::Instant;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Early, StreamId};

/// State about an agent that a controller keeps between sessions, so that early data saves a round trip
/// next time. Its instants are of the driver's clock, which must be the system's boot-time clock if
/// tickets outlive the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Random number that the agent drew at its start.
    pub epoch: u64,
    /// The agent's time minus the controller's instant, in microseconds.
    pub offset: i64,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Mean variation of the round-trip time (RFC 9002 §5.3).
    pub variation: Duration,
}

/// An event of a session or of the endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Controller: the session is established, and the agent has proved that it holds its key.
    Connected {
        /// Session.
        session: SessionHandle,
        /// Path on which the agent has answered first, of those in [`Connect`](super::Connect).
        path: Path,
        /// Time of the RESP.
        at: Instant,
        /// Ticket for the next session to this agent.
        ticket: Ticket,
        /// Fate of the early data. Refused early data is sent again automatically, unless that could start
        /// something twice: then the session ends with [`Closed::Restarted`].
        early: Early,
    },
    /// Agent: an authorized controller has opened a session.
    Accepted {
        /// Session.
        session: SessionHandle,
        /// Public key of the controller.
        key: PublicKey,
        /// Address of the controller.
        remote: PeerAddr,
        /// Invitation that the controller presented, if any.
        invite: Option<[u8; INVITE]>,
        /// Record with which a later endpoint can reset the session.
        reset: Box<ResetRecord>,
    },
    /// Agent: the controller has confirmed the session, so it is there and the INIT was not a copy. What the session
    /// has carried before came as early data.
    Confirmed {
        /// Session.
        session: SessionHandle,
    },
    /// An event of a stream or call of the session.
    Stream {
        /// Session.
        session: SessionHandle,
        /// Event of the stream.
        event: StreamEvent,
    },
    /// No authentic datagram came for the time given in [`Command::Watch`](super::Command::Watch).
    Silent {
        /// Session.
        session: SessionHandle,
    },
    /// An authentic datagram came after [`Event::Silent`].
    Heard {
        /// Session.
        session: SessionHandle,
    },
    /// The search that [`Command::FindDatagramSize`](super::Command::FindDatagramSize) has asked for is over.
    DatagramSize {
        /// Session.
        session: SessionHandle,
        /// Size of the largest datagram that has passed, in bytes.
        bytes: usize,
    },
    /// The peer's address has changed and the new one is validated. It is the new path of the session's
    /// [`ResetRecord`].
    Moved {
        /// Session.
        session: SessionHandle,
        /// The path now in use.
        path: Path,
    },
    /// Agent: an INIT was answered. The application keeps the fingerprint over a restart and passes it to
    /// [`Config::seen`](super::Config::seen), so that the INIT is never answered again.
    InitSeen {
        /// Fingerprint of the INIT.
        fingerprint: InitFingerprint,
    },
    /// The session has ended; no further event names it.
    Closed {
        /// Session.
        session: SessionHandle,
        /// Reason for the end.
        reason: Closed,
    },
}

impl Event {
    /// Returns the session of the event, if it has one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionHandle> {
        match self {
            Self::Connected { session, .. }
            | Self::Accepted { session, .. }
            | Self::Confirmed { session }
            | Self::Stream { session, .. }
            | Self::Silent { session }
            | Self::Heard { session }
            | Self::DatagramSize { session, .. }
            | Self::Moved { session, .. }
            | Self::Closed { session, .. } => Some(*session),
            Self::InitSeen { .. } => None,
        }
    }
}

/// Event of one stream, or of one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// The next bytes of the stream, in order. They count against the peer's credit until
    /// [`Command::Consumed`](super::Command::Consumed). On an agent, the first event of a call opens it.
    Data {
        /// Stream.
        stream: StreamId,
        /// Offset of the first byte in the stream.
        offset: u64,
        /// The bytes; may be empty if `fin` is set.
        data: Bytes,
        /// True if the stream ends after these bytes.
        fin: bool,
    },
    /// The peer has granted credit or reported consumption since the last such event of the stream.
    Writable {
        /// Stream.
        stream: StreamId,
        /// Offset below which the peer has consumed every byte.
        consumed: u64,
        /// First offset that may not be written.
        limit: u64,
    },
    /// The peer has acknowledged every byte of the stream, and its end.
    Delivered {
        /// Stream.
        stream: StreamId,
    },
    /// The peer reset its sending half: the data is not complete.
    Reset {
        /// Stream.
        stream: StreamId,
        /// Code of the RESET.
        code: u64,
    },
    /// The peer asked to stop sending; the sending half has been reset.
    Stopped {
        /// Stream.
        stream: StreamId,
        /// Code of the STOP.
        code: u64,
    },
    /// Both endpoints are done with the call; its number is forgotten.
    CallEnded {
        /// The call.
        call: CallId,
    },
}

impl StreamEvent {
    /// Returns the call that the event belongs to.
    #[must_use]
    pub const fn call(&self) -> CallId {
        match self {
            Self::Data { stream, .. }
            | Self::Writable { stream, .. }
            | Self::Delivered { stream }
            | Self::Reset { stream, .. }
            | Self::Stopped { stream, .. } => stream.call(),
            Self::CallEnded { call } => *call,
        }
    }
}

/// Reason for the end of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The agent did not answer within [`Connect::timeout`](super::Connect::timeout).
    Unreachable,
    /// The agent has restarted since the early data was first sent, and its earlier run may have accepted
    /// that data: it was not sent again.
    Restarted,
    /// The session table is full, or the handle is in use; nothing was sent.
    Full,
    /// No authentic datagram came for [`limits::IDLE`](super::limits::IDLE). On an agent also: the
    /// controller did not confirm the handshake within
    /// [`limits::UNCONFIRMED`](super::limits::UNCONFIRMED).
    Lost,
    /// The agent has lost the session, for instance by a restart of its network process, and answers again: a new
    /// session can follow at once.
    Reset,
    /// The peer closed the session. The text is the peer's: escape it before showing.
    ByPeer {
        /// Code of the CLOSE, for programs.
        code: u64,
        /// Reason in the CLOSE, for people.
        reason: String,
    },
    /// The key has sealed [`limits::BYTES_PER_KEY`](super::limits::BYTES_PER_KEY). The application can continue in a
    /// new session.
    KeyUsedUp,
    /// The peer violated the protocol.
    Violation(Violation),
    /// Agent: the key opened more sessions than it may have, and this was its oldest one without a call.
    Evicted,
    /// Agent: the key may not connect from its new address.
    Denied,
    /// The local application closed the session.
    Local,
}
