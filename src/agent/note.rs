//! Notes of the service for the log.

use super::access::Denied;
use crate::crypto::PublicKey;
use crate::message::{OsText, Outcome, RequestId};
use crate::peer_addr::PeerAddr;
use crate::session::SessionHandle;

/// A note for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A session was opened.
    Opened {
        /// The session.
        session: SessionHandle,
        /// Key of the controller.
        key: PublicKey,
        /// Name of the key; `None` if it is not listed.
        name: Option<String>,
        /// Address of the controller.
        remote: PeerAddr,
    },
    /// A command was accepted and is about to be started.
    Accepted {
        /// Request id.
        id: RequestId,
        /// Key of the controller.
        key: PublicKey,
        /// Beginning of argv.
        argv: Vec<OsText>,
    },
    /// A command has ended.
    Ended {
        /// Request id.
        id: RequestId,
        /// Key of the controller.
        key: PublicKey,
        /// Outcome.
        outcome: Outcome,
        /// Bytes of stdout.
        stdout: u64,
        /// Bytes of stderr.
        stderr: u64,
    },
    /// A command was not run.
    Refused {
        /// Request id.
        id: RequestId,
        /// Key of the controller.
        key: PublicKey,
        /// Outcome for the controller.
        outcome: Outcome,
        /// Reason, if the policy denies it.
        denied: Option<Denied>,
    },
    /// An invited key was listed.
    Registered {
        /// Key of the controller.
        key: PublicKey,
        /// Name of the key.
        name: String,
    },
}
