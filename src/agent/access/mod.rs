//! Access control: the keys that may open a session, and the commands that they may run.
//!
//! [`Access`] is an immutable snapshot of `authorized_keys`, of the open invitations and of the
//! controller key of the agent's own user. A new snapshot is loaded when one of the files changes.
//! Not here: watching the files, ending sessions, reading the clock.
//!
//! Invariant: errors deny. A line that cannot be read, parsed or trusted admits nobody, and is
//! reported with file and line.

mod authorized_keys;
mod exec_policy;
mod expiry;
pub mod invite;
mod line_error;
mod member;
mod options;
mod pattern;
pub mod policy_source;
mod sources;
mod users;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use exec_policy::{Permit, Refusal};
pub use line_error::LineError;
pub use member::{Member, Origin};
pub use options::Options;
pub use pattern::{Pattern, PatternError};
pub use sources::Sources;
pub use users::Users;

use sources::Draft;

use crate::crypto::{InviteToken, PublicKey};
use crate::home::FileError;
use crate::wire::limits::INVITE;

/// Snapshot of the keys that may open a session.
#[derive(Clone, Default, Debug)]
pub struct Access {
    members: HashMap<PublicKey, Arc<Member>>,
    /// Keys of lines with errors. They are never admitted, whatever other rule would admit them.
    refused: HashSet<PublicKey>,
    invites: Vec<invite::Record>,
}

/// Reason for admitting a key.
#[derive(Clone, Debug)]
pub enum Admission {
    /// The key is a member.
    Member(Arc<Member>),
    /// The key is not listed, but has an open invitation: it may register and do nothing else.
    Invited,
}

/// An error in the files, for the log. The file or line admits nobody.
#[derive(Debug)]
pub enum Problem {
    /// A whole file could not be used.
    File(FileError),
    /// A line has an error.
    Line {
        /// The file.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
        /// The error, with the remedy.
        error: LineError,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Line { path, line, error } => write!(f, "{}:{line}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Problem {}

/// Name of the controller key of the agent's own user.
const SAME_USER: &str = "owner";

impl Access {
    /// Returns a snapshot with these keys alone, without restrictions, for `--local` and tests.
    #[must_use]
    pub fn of_keys(keys: &[PublicKey]) -> Self {
        let mut access = Self::default();
        for key in keys {
            access.insert(Member {
                key: *key,
                name: SAME_USER.to_owned(),
                options: Options::default(),
                origin: Origin::Given,
            });
        }
        access
    }

    /// Parses the texts of `authorized_keys` and `invites` without files, for tests and fuzzing.
    #[must_use]
    pub fn parse(authorized_keys: &str, invites: &str) -> (Self, Vec<Problem>) {
        let mut draft = Draft::default();
        draft.add_keys(authorized_keys, Path::new("authorized_keys"));
        draft.add_invites(invites, Path::new("invites"));
        draft.finish()
    }

    fn insert(&mut self, member: Member) {
        self.members.insert(member.key, Arc::new(member));
    }

    fn is_listed(&self, key: &PublicKey) -> bool {
        self.members.contains_key(key) || self.refused.contains(key)
    }

    /// Decides about a session: the key, its address, its invitation and the time (seconds since
    /// 1970). Returns `None` if it is not admitted. An invitation does not change the rights of a
    /// listed key.
    #[must_use]
    pub fn admit(
        &self,
        key: &PublicKey,
        from: impl Into<Option<IpAddr>>,
        invite: Option<&[u8; INVITE]>,
        now_unix: u64,
    ) -> Option<Admission> {
        let from = from.into();
        if let Some(member) = self.members.get(key) {
            return member
                .admitted(from, now_unix)
                .then(|| Admission::Member(Arc::clone(member)));
        }
        if self.refused.contains(key) {
            return None;
        }
        let token = InviteToken::from_bytes(*invite?);
        self.invites
            .iter()
            .find(|record| record.matches(&token))
            .filter(|record| record.is_open(now_unix) && record.options.admits_from(from))
            .map(|_| Admission::Invited)
    }

    /// Returns the member with this key, also if it is not admitted at present.
    #[must_use]
    pub fn member(&self, key: &PublicKey) -> Option<&Arc<Member>> {
        self.members.get(key)
    }

    /// Returns all members, in arbitrary order.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// Returns the time after `now_unix` at which the next key or invitation expires; sessions must
    /// be checked again then.
    #[must_use]
    pub fn next_expiry(&self, now_unix: u64) -> Option<u64> {
        let members = self.members().filter_map(|member| member.options.expires);
        let invites = self.invites.iter().map(|record| record.expires);
        members
            .chain(invites)
            .filter(|expires| *expires > now_unix)
            .min()
    }
}

#[cfg(test)]
mod testing {
    //! Fixtures of the tests of this module.

    use super::{Member, Options, Origin};
    use crate::crypto::{PublicKey, SecretKey};
    use crate::home::AgentHome;
    use crate::message::{Exec, RequestId};
    use crate::rng::Rng;

    /// Returns the key of a seed.
    pub fn key(seed: u8) -> PublicKey {
        SecretKey::generate(&mut Rng::from_seed([seed; 32])).public()
    }

    /// Returns a member with these options.
    pub fn member(options: &[&str]) -> Member {
        Member {
            key: key(1),
            name: "alice".to_owned(),
            options: Options::parse(options).unwrap(),
            origin: Origin::Given,
        }
    }

    /// Returns a request for a plain command.
    pub fn request<S: AsRef<str>>(argv: &[S]) -> Exec {
        let argv = argv.iter().map(|word| word.as_ref().into()).collect();
        Exec::new(RequestId([1; 16]), argv)
    }

    /// Returns true if the member may run the command.
    pub fn may_run<S: AsRef<str>>(member: &Member, argv: &[S]) -> bool {
        member.judge(&request(argv), "root").is_ok()
    }

    /// Returns the agent's directories in a new temporary policy.
    pub fn home_in() -> (tempfile::TempDir, AgentHome) {
        let folder = tempfile::tempdir().unwrap();
        let home = AgentHome::at(folder.path());
        (folder, home)
    }
}
