//! All files of a policy as plain data, and the policy that they make.
//!
//! The process that may open files reads them ([`Sources::read`](super::Sources::read)); the process that serves
//! the network gets them as a value. Nothing here opens a file.

use std::os::unix::ffi::OsStrExt as _;

use serde::{Deserialize, Serialize};

use super::file_content::{Content, FaultKind, PolicyFile};
use super::{Policy, PolicyBuilder, Problem};

/// The files of a policy when they were read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyFiles {
    /// The file `authorized_keys`.
    pub authorized_keys: PolicyFile,
    /// The open invitations.
    pub invites: PolicyFile,
    /// Public key of the own user's controller; `None` if no such key is to be accepted.
    pub own_key: Option<PolicyFile>,
}

impl PolicyFiles {
    /// Returns the files as ones that could not be read, for a reason: they admit nobody.
    #[must_use]
    pub fn unanswered(&self, reason: &str) -> Self {
        Self {
            authorized_keys: self.authorized_keys.unanswered(reason),
            invites: self.invites.unanswered(reason),
            own_key: self.own_key.clone(),
        }
    }

    /// True if the keys could not be read, so that a policy of these files is
    /// [suspended](Policy::is_suspended).
    #[must_use]
    pub fn are_unanswered(&self) -> bool {
        let mut files = [&self.authorized_keys].into_iter().chain(&self.own_key);
        files.any(|file| match &file.content {
            Content::Unusable(fault) => fault.kind == FaultKind::Unanswered,
            Content::Absent | Content::Bytes(_) => false,
        })
    }

    /// Returns the policy. Never fails: a file or line with an error admits no key and is listed.
    #[must_use]
    pub fn policy(&self) -> (Policy, Vec<Problem>) {
        let mut builder = PolicyBuilder::default();
        let keys = &self.authorized_keys;
        match &keys.content {
            Content::Absent => {}
            Content::Bytes(bytes) => builder.add_keys(bytes.as_os_str().as_bytes(), keys.path()),
            Content::Unusable(fault) => builder.add_unusable_keys(fault.clone(), keys.path()),
        }
        let invites = &self.invites;
        match &invites.content {
            Content::Absent => {}
            Content::Bytes(bytes) => {
                builder.add_invites(bytes.as_os_str().as_bytes(), invites.path());
            }
            Content::Unusable(fault) => builder.add_fault(fault.clone()),
        }
        if let Some(own) = &self.own_key {
            match &own.content {
                Content::Absent => {}
                Content::Bytes(bytes) => {
                    builder.add_own_user(bytes.as_os_str().as_bytes(), own.path());
                }
                Content::Unusable(fault) => builder.add_unusable_own_key(fault.clone(), own.path()),
            }
        }
        builder.finish()
    }
}
