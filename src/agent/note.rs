//! What the agent's rooms have done, for its log.

use crate::crypto::PublicKey;
use crate::message::{OsText, Outcome, RequestId};
use crate::peer_addr::PeerAddr;
use crate::session::SessionHandle;

/// Something for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A session was opened.
    Opened {
        /// Which.
        session: SessionHandle,
        /// By whom.
        key: PublicKey,
        /// Its name, if it is known.
        name: Option<String>,
        /// From where.
        remote: PeerAddr,
    },
    /// A command was accepted and is about to be started.
    Accepted {
        /// Its id.
        id: RequestId,
        /// Whose.
        key: PublicKey,
        /// What, as far as it is shown.
        argv: Vec<OsText>,
    },
    /// A command is over.
    Ended {
        /// Its id.
        id: RequestId,
        /// Whose.
        key: PublicKey,
        /// How.
        outcome: Outcome,
        /// Bytes of stdout.
        stdout: u64,
        /// Bytes of stderr.
        stderr: u64,
    },
    /// A command was not run.
    Refused {
        /// Its id.
        id: RequestId,
        /// Whose.
        key: PublicKey,
        /// Why.
        outcome: Outcome,
    },
    /// A key was entered on an invitation.
    Registered {
        /// Whose.
        key: PublicKey,
        /// Under which name.
        name: String,
    },
}
