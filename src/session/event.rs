//! What happened: taken from [`Endpoint::poll_event`](super::Endpoint::poll_event).

use std::time::Duration;

use bytes::Bytes;

use super::{InitFingerprint, Path, SessionHandle, Violation};
use crate::crypto::PublicKey;
use crate::peer_addr::PeerAddr;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Early, StreamId};

/// What a controller remembers of an agent, so that next time a command is back in one round trip.
/// The instants count in the driver's clock, which must be the system's boot-time clock if tickets
/// outlive the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Drawn by the agent at its start.
    pub epoch: u64,
    /// The agent's time minus the controller's instant, in microseconds.
    pub offset: i64,
    /// Smoothed round-trip time.
    pub rtt: Duration,
}

/// Something that the application must know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Controller: the agent has answered and is who it should be.
    Connected {
        /// Session.
        session: SessionHandle,
        /// What to remember.
        ticket: Ticket,
        /// What became of the bytes in the first datagram. Refused ones are sent again by themselves,
        /// unless that could start something twice: then the session ends with [`Closed::Restarted`].
        early: Early,
    },
    /// Agent: an admitted controller has opened a session.
    Accepted {
        /// Session.
        session: SessionHandle,
        /// Who.
        key: PublicKey,
        /// From where.
        remote: PeerAddr,
        /// The invitation shown, if any.
        invite: Option<[u8; INVITE]>,
    },
    /// Something happened to a stream or a call of the session.
    Stream {
        /// Session.
        session: SessionHandle,
        /// Event of the stream.
        event: StreamEvent,
    },
    /// Nothing authentic was heard for as long as [`Command::Watch`](super::Command::Watch) said.
    Silent {
        /// Session.
        session: SessionHandle,
    },
    /// Something was, after [`Event::Silent`].
    Heard {
        /// Session.
        session: SessionHandle,
    },
    /// The peer's address has changed and the new one is validated.
    Moved {
        /// Session.
        session: SessionHandle,
        /// The path now in use.
        path: Path,
    },
    /// An INIT was answered; remember this fingerprint over a restart, so that it is never answered again.
    InitSeen {
        /// Fingerprint of the INIT.
        fingerprint: InitFingerprint,
    },
    /// The session is over; no further event names it.
    Closed {
        /// Session.
        session: SessionHandle,
        /// Why.
        reason: Closed,
    },
}

impl Event {
    /// The session it is about.
    #[must_use]
    pub const fn session(&self) -> Option<SessionHandle> {
        match self {
            Self::Connected { session, .. }
            | Self::Accepted { session, .. }
            | Self::Stream { session, .. }
            | Self::Silent { session }
            | Self::Heard { session }
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
        /// True if the stream ends behind these bytes.
        fin: bool,
    },
    /// The peer has granted credit or reported consumption.
    Writable {
        /// Stream.
        stream: StreamId,
        /// Offset below which the peer has disposed of every byte for good.
        consumed: u64,
        /// First offset that may not be written.
        limit: u64,
    },
    /// The peer has acknowledged every byte of the stream, and its end.
    Delivered {
        /// Stream.
        stream: StreamId,
    },
    /// The peer gave up its sending half: the data is not complete.
    Reset {
        /// Stream.
        stream: StreamId,
        /// Code of the RESET.
        code: u64,
    },
    /// The peer wants no more of the stream; the sending half has been reset.
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

/// Why a session is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closed {
    /// Nothing ever answered.
    Unreachable,
    /// The agent has restarted since the first bytes left for it with a ticket, and may have taken them
    /// in its life before: they were not sent again.
    Restarted,
    /// The session table is full; nothing was sent.
    Full,
    /// It stood, then nothing was heard for [`limits::IDLE`](super::limits::IDLE).
    Lost,
    /// The peer ended it. The text is the peer's: escape it before showing.
    ByPeer {
        /// Why, for programs.
        code: u64,
        /// Why, for people.
        reason: String,
    },
    /// The key has sealed [`limits::DATAGRAMS_PER_KEY`](super::limits::DATAGRAMS_PER_KEY); a new session goes on.
    KeyUsedUp,
    /// The peer broke the protocol.
    Violation(Violation),
    /// This side's application ended it.
    Local,
}
