//! Commands of the application, passed to [`Endpoint::apply`](super::Endpoint::apply).

use std::time::Duration;

use bytes::Bytes;

use super::{Path, SessionHandle, Ticket};
use crate::crypto::PublicKey;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, StreamId};

/// Parameters of a new session to an agent.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Handle of the new session: below 2^63, never used before.
    pub session: SessionHandle,
    /// Public key that the agent must have.
    pub agent: PublicKey,
    /// Path to the agent.
    pub path: Path,
    /// Further paths to it, best first. The handshake begins on each in turn, [`limits::ATTEMPT_DELAY`] after the one
    /// before, while no path has an answer; [`limits::PATHS`] are tried in all. All INITs count as one for the agent,
    /// which takes the early data of one only.
    ///
    /// [`limits::ATTEMPT_DELAY`]: super::limits::ATTEMPT_DELAY
    /// [`limits::PATHS`]: super::limits::PATHS
    pub further: Vec<Path>,
    /// Ticket of an earlier session to this agent; with it, `first` is sent as early data in the INIT, as
    /// far as it fits.
    pub ticket: Option<Ticket>,
    /// Invitation, for an agent that does not know this controller's key.
    pub invite: Option<[u8; INVITE]>,
    /// First bytes of the control lane of call 0.
    pub first: Bytes,
    /// Time without an answer after which the session ends with
    /// [`Closed::Unreachable`](super::Closed::Unreachable).
    pub timeout: Duration,
}

/// A command to the session layer. Commands for a session or stream that is gone are ignored, because
/// the event of its end is already queued.
#[derive(Clone, Debug)]
pub enum Command {
    /// Opens a session.
    Connect(Connect),
    /// Appends to a stream; for a controller the first write to the next call number opens the call.
    /// The application should keep within the `limit` of
    /// [`StreamEvent::Writable`](super::StreamEvent::Writable), which is
    /// [`limits::INITIAL_STREAM_CREDIT`](super::limits::INITIAL_STREAM_CREDIT) at first. Bytes beyond the limit
    /// are buffered and sent when the peer grants credit.
    Write {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// Bytes to append.
        data: Bytes,
        /// True if the stream ends after these bytes.
        fin: bool,
    },
    /// Reports that the application has consumed bytes of a stream, so that the peer gets credit for as
    /// many.
    Consumed {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// Number of bytes consumed since the last report.
        bytes: u64,
    },
    /// Resets the sending half of a stream.
    Reset {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// Code for the RESET.
        code: u64,
    },
    /// Asks the peer to reset its sending half; bytes that still arrive are discarded.
    Stop {
        /// Session.
        session: SessionHandle,
        /// Lane of a call.
        stream: StreamId,
        /// Code for the STOP.
        code: u64,
    },
    /// Releases a call: halves that are still open are reset and stopped, and the only further event that
    /// names the call is [`StreamEvent::CallEnded`](super::StreamEvent::CallEnded).
    Release {
        /// Session.
        session: SessionHandle,
        /// Call to release.
        call: CallId,
    },
    /// Asks for [`Event::Silent`](super::Event::Silent) after `silence` without an authentic datagram, and
    /// for a PING after each `ping` without one.
    Watch {
        /// Session.
        session: SessionHandle,
        /// Time without an authentic datagram before the event.
        silence: Duration,
        /// Time without an authentic datagram before a PING; `None` for the default,
        /// [`limits::KEEPALIVE`](super::limits::KEEPALIVE) on a controller while calls are open.
        ping: Option<Duration>,
    },
    /// Looks for the largest datagram that the path carries without waiting for bulk data, and asks for
    /// [`Event::DatagramSize`](super::Event::DatagramSize).
    FindDatagramSize {
        /// Session.
        session: SessionHandle,
    },
    /// Closes the session and tells the peer.
    Close {
        /// Session.
        session: SessionHandle,
        /// Code for the CLOSE: see [`CloseCode`](crate::wire::CloseCode).
        code: u64,
        /// Reason for the CLOSE, for people.
        reason: String,
    },
}

impl Command {
    /// Returns the session of the command.
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
            | Self::FindDatagramSize { session }
            | Self::Close { session, .. } => *session,
        }
    }
}
