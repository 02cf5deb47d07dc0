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
mod sources;
mod users;
mod verdict;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use authorized_keys::LineError;
pub use member::{Member, Origin};
pub use options::Options;
pub use pattern::{Pattern, PatternError};
pub use sources::Sources;
pub use users::Users;
pub use verdict::{Permit, Refusal};

use sources::Draft;

use crate::crypto::{InviteToken, PublicKey};
use crate::home::FileError;
use crate::wire::limits::INVITE;

/// Who may connect, at one moment.
#[derive(Clone, Default, Debug)]
pub struct Access {
    members: HashMap<PublicKey, Arc<Member>>,
    /// Keys of lines that were refused: strangers, whatever else would admit them.
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Line { path, line, error } => write!(f, "{}:{line}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Problem {}

/// The name of the own user's controller.
const SAME_USER: &str = "owner";

impl Access {
    /// An agent that knows these keys and nothing else, all without restriction: `--local`, tests.
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

    /// Reads the texts of `authorized_keys` and `invites` without files, for tests and fuzzing.
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

    /// Whether this key may open a session from this address, showing this invitation, at this time
    /// (seconds since 1970). What is said about a listed key is not changed by an invitation.
    #[must_use]
    pub fn admit(
        &self,
        key: &PublicKey,
        from: IpAddr,
        invite: Option<&[u8; INVITE]>,
        now_unix: u64,
    ) -> Option<Admission> {
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
    //! What the tests of this room share.

    use super::{Member, Options, Origin};
    use crate::crypto::{PublicKey, SecretKey};
    use crate::home::AgentHome;
    use crate::message::{Exec, RequestId};
    use crate::rng::Rng;

    /// Somebody's key.
    pub fn key(seed: u8) -> PublicKey {
        SecretKey::generate(&mut Rng::from_seed([seed; 32])).public()
    }

    /// Somebody with these options.
    pub fn member(options: &[&str]) -> Member {
        Member {
            key: key(1),
            name: "alice".to_owned(),
            options: Options::parse(options).unwrap(),
            origin: Origin::Given,
        }
    }

    /// A plain command.
    pub fn request<S: AsRef<str>>(argv: &[S]) -> Exec {
        let argv = argv.iter().map(|word| word.as_ref().into()).collect();
        Exec::new(RequestId([1; 16]), argv)
    }

    /// Whether somebody may run it.
    pub fn may_run<S: AsRef<str>>(member: &Member, argv: &[S]) -> bool {
        member.judge(&request(argv), "root").is_ok()
    }

    /// An agent's folders in a new temporary one.
    pub fn home_in() -> (tempfile::TempDir, AgentHome) {
        let folder = tempfile::tempdir().unwrap();
        let home = AgentHome::at(folder.path());
        (folder, home)
    }
}
