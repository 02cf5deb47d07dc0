//! Notes of the service for the log.

use super::access::{Controller, Denied};
use crate::message::{OsText, Outcome, RequestId};
use crate::session::SessionHandle;

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
    /// An invited key was listed.
    Registered {
        /// The controller, with its name.
        controller: Controller,
    },
}
