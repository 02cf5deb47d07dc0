//! What the application asks of the machine: one verb, [`Endpoint::apply`](super::Endpoint::apply).

use std::time::Duration;

use bytes::Bytes;

use super::{Path, SessionHandle, Ticket};
use crate::crypto::PublicKey;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, StreamId};

/// Opens a session to an agent.
#[derive(Clone, Debug)]
pub struct Connect {
    /// The number that this process will know the session by; below 2^63, never used before.
    pub session: SessionHandle,
    /// Whose agent it must be.
    pub agent: PublicKey,
    /// Where to find it.
    pub path: Path,
    /// What is remembered of it: with a ticket, `first` travels in the first datagram.
    pub ticket: Option<Ticket>,
    /// An invitation, for an agent that does not know this controller's key.
    pub invite: Option<[u8; INVITE]>,
    /// The first bytes of call 0's control lane.
    pub first: Bytes,
    /// Give up with [`Closed::Unreachable`](super::Closed::Unreachable) when nothing answered for this long.
    pub timeout: Duration,
}

/// A request to the machine. Commands for a session or stream that is gone are ignored: its end is
/// already on the way as an event.
#[derive(Clone, Debug)]
pub enum Command {
    /// Opens a session.
    Connect(Connect),
    /// Appends to a stream; for a controller the first write to the next call number opens the call.
    /// The application keeps within the `limit` of [`StreamEvent::Writable`](super::StreamEvent::Writable), and at
    /// first within [`limits::INITIAL_STREAM_CREDIT`](super::limits::INITIAL_STREAM_CREDIT); what exceeds it
    /// is kept and sent when credit comes.
    Write {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// The bytes.
        data: Bytes,
        /// Nothing follows.
        fin: bool,
    },
    /// So many more bytes of a stream have been disposed of for good: credit for the peer.
    Consumed {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// How many more.
        bytes: u64,
    },
    /// Gives up the sending half of a stream.
    Reset {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// Why.
        code: u64,
    },
    /// Asks the peer to give up its sending half; bytes that still come are discarded.
    Stop {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// Why.
        code: u64,
    },
    /// The application is through with a call: halves that are still open are reset and stopped, no
    /// further event names it.
    Release {
        /// Session.
        session: SessionHandle,
        /// The call.
        call: CallId,
    },
    /// Asks for [`Event::Silent`](super::Event::Silent) after so long without an authentic datagram, and
    /// for a PING whenever nothing was heard for `ping`.
    Watch {
        /// Session.
        session: SessionHandle,
        /// When silence is worth an event.
        silence: Duration,
        /// When it is worth a question; `None`: the default while calls are open.
        ping: Option<Duration>,
    },
    /// Ends the session, telling the peer once.
    Close {
        /// Session.
        session: SessionHandle,
        /// Why, for programs: see [`CloseCode`](crate::wire::CloseCode).
        code: u64,
        /// Why, for people.
        reason: String,
    },
}

impl Command {
    /// The session it is about.
    #[must_use]
    pub const fn session(&self) -> SessionHandle {
        match self {
            Self::Connect(connect) => connect.session,
            Self::Write { session, .. }
            | Self::Consumed { session, .. }
            | Self::Reset { session, .. }
            | Self::Stop { session, .. }
            | Self::Release { session, .. }
            | Self::Watch { session, .. }
            | Self::Close { session, .. } => *session,
        }
    }
}
