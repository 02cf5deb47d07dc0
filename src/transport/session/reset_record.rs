//! The record of an agent's session that outlives its endpoint, so that a later one can reset it.

use super::Path;
use crate::crypto::ResetToken;
use crate::wire::SessionId;

/// Facts about a session that another process keeps, as long as the session lasts:
/// [`Event::Accepted`](super::Event::Accepted) brings the record, [`Event::Moved`](super::Event::Moved) a new
/// path, and [`Event::Closed`](super::Event::Closed) ends it. A later endpoint that is created with the record
/// ([`Config::resets`](super::Config::resets)) tells the controller that the session is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ResetRecord {
    /// Session id that the agent chose: the address of datagrams that still arrive.
    pub agent: SessionId,
    /// Session id that the controller chose: the address of the reset.
    pub controller: SessionId,
    /// Token that the controller has from HELLO.
    pub token: ResetToken,
    /// Path to the controller.
    pub path: Path,
}
