//! Who may connect and what they may run.
//!
//! [`Access`] is an immutable snapshot of `authorized_keys`, of the open invitations and of the own
//! user's controller key; when one of the files changes, a new one is loaded. Not here: watching the
//! files, ending sessions, asking the time. Invariant: fail closed. What cannot be read, understood or
//! trusted admits nobody, and is reported with file and line.

mod authorized_keys;
mod expiry;
pub mod invite;
mod member;
mod options;
mod pattern;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use member::{Member, Origin};
pub use options::Options;
pub use pattern::Pattern;

use crate::crypto::PublicKey;
use crate::home::{AgentHome, ControlHome, FileError};
use crate::wire::limits::INVITE;

/// Who may connect, at one moment.
#[derive(Clone, Default, Debug)]
pub struct Access {
    members: HashMap<PublicKey, Arc<Member>>,
    /// Keys of lines that were refused: listed nowhere else they are strangers, whatever else would admit them.
    refused: HashSet<PublicKey>,
    invites: Vec<invite::Record>,
}

/// Why somebody is let in.
#[derive(Clone, Debug)]
pub enum Admission {
    /// The key is listed.
    Member(Arc<Member>),
    /// It is not, but shows an open invitation: it may register and nothing else.
    Invited,
}

/// Something in the files that admits nobody, for the log.
#[derive(Debug)]
pub enum Problem {
    /// A whole file.
    File(FileError),
    /// A line of one.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to do.
        error: LineError,
    },
}

pub use authorized_keys::LineError;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for Problem {}

/// The files that decide. Reload when one of [`Sources::paths`] changes.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The agent's folders.
    pub agent: AgentHome,
    /// The folders of the same user's controller, whose key is always accepted; `None`: no such key.
    pub control: Option<ControlHome>,
}

impl Sources {
    /// The files to watch. Some may not exist yet, and their folders neither.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        todo!()
    }

    /// Reads them all. Never fails: what is wrong admits nobody and is listed.
    #[must_use]
    pub fn load(&self) -> (Access, Vec<Problem>) {
        todo!()
    }
}

impl Access {
    /// An agent that knows these keys and nothing else, all without restriction: `--local`, tests.
    #[must_use]
    pub fn of_keys(keys: &[PublicKey]) -> Self {
        todo!()
    }

    /// Whether this key may open a session from this address, showing this invitation, at this time
    /// (seconds since 1970).
    #[must_use]
    pub fn admit(
        &self,
        key: &PublicKey,
        from: IpAddr,
        invite: Option<&[u8; INVITE]>,
        now_unix: u64,
    ) -> Option<Admission> {
        todo!()
    }

    /// The member of this key, whether admitted now or not.
    #[must_use]
    pub fn member(&self, key: &PublicKey) -> Option<&Arc<Member>> {
        self.members.get(key)
    }

    /// All members, in no order.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// When the next key or invitation runs out after `now_unix`: sessions are to be looked at then.
    #[must_use]
    pub fn next_expiry(&self, now_unix: u64) -> Option<u64> {
        todo!()
    }
}
