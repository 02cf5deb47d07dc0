//! The codes of CLOSE.

/// Code of a CLOSE frame: reason for the end of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CloseCode {
    /// The side that closes has everything it asked for.
    Done = 0,
    /// The peer broke the protocol.
    Violation = 1,
    /// The program ends.
    Shutdown = 2,
    /// The key may no longer open sessions.
    Revoked = 3,
    /// The session's key has sealed as many datagrams as is safe; a new session may follow.
    KeyUsedUp = 4,
    /// The key has too many sessions, and this one had no open call.
    Evicted = 5,
}
