//! Notes of the service for the log.

use super::access::{Controller, Denied};
use super::audit::{Event, Record};
use crate::crypto::PublicKey;
use crate::message::{OsText, Outcome, RequestId};
use crate::peer_addr::PeerAddr;
use crate::session::SessionHandle;

/// A report about denied sessions, for the log and the audit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionDenial {
    /// Key of the last one.
    pub key: PublicKey,
    /// Name of the key, if it is listed.
    pub name: Option<String>,
    /// Address of the last one.
    pub address: PeerAddr,
    /// Reason of the last one.
    pub reason: Denied,
    /// Number of denials before it that have no report.
    pub left_out: u64,
}

impl SessionDenial {
    /// Returns its record.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record {
            key: Some(self.key),
            name: self.name.as_deref(),
            address: Some(self.address),
            request: None,
            event: Event::SessionDenied {
                reason: self.reason.to_string(),
                left_out: self.left_out,
            },
        }
    }
}

/// A note for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A session was opened.
    Opened {
        /// The session.
        session: SessionHandle,
        /// The controller.
        controller: Controller,
    },
    /// A command was accepted and is about to be started.
    Accepted {
        /// Request id.
        id: RequestId,
        /// The controller.
        controller: Controller,
        /// Beginning of argv.
        argv: Vec<OsText>,
    },
    /// A command has ended.
    Ended {
        /// Request id.
        id: RequestId,
        /// The controller.
        controller: Controller,
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
        /// The controller.
        controller: Controller,
        /// Outcome for the controller.
        outcome: Outcome,
        /// Reason, if the policy denies it.
        denied: Option<Denied>,
    },
    /// A key that is listed has used an invitation.
    AlreadyListed {
        /// The controller, with its name.
        controller: Controller,
    },
    /// An invited key was listed.
    Registered {
        /// The controller, with its name.
        controller: Controller,
    },
}
