//! The decision about a session by the listed keys and the open invitations.
//!
//! [`Policy`] is an immutable snapshot. It opens no file and reads no clock:
//! [`Sources`](super::Sources) loads the files, and the caller passes the time. A command is decided in
//! [`exec_policy`](super::exec_policy).
//!
//! Invariant: errors deny. A line that cannot be read, parsed or trusted admits no key, whatever other
//! rule would admit its key.

use crate::peer_addr::PeerAddr;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::member::SAME_USER;
use super::{Denied, LineError, Member, Options, Origin, authorized_keys, invite};
use crate::agent::switch::Switch;
use crate::crypto::{InviteToken, PublicKey};
use crate::home::FileError;
use crate::wire::limits::INVITE;

/// The keys that may open a session, and the commands that they may run.
#[derive(Clone, Debug)]
pub struct Policy {
    members: HashMap<PublicKey, Member>,
    /// Keys of lines with errors.
    invalid: HashSet<PublicKey>,
    invites: Vec<invite::Record>,
    /// Off if no key may run a command.
    pub(super) exec: Switch,
}

/// An authorised session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission<'a> {
    /// The key is listed.
    Member(&'a Member),
    /// The key is not listed, but has an open invitation: it may register and do nothing else.
    Invited,
}

impl Admission<'_> {
    /// Returns the name of a listed key.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Member(member) => Some(&member.name),
            Self::Invited => None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            members: HashMap::new(),
            invalid: HashSet::new(),
            invites: Vec::new(),
            exec: Switch::On,
        }
    }
}

impl Policy {
    /// Returns a policy with these keys alone, without restrictions, for `--local`.
    #[must_use]
    pub fn of_keys(keys: &[PublicKey]) -> Self {
        let mut policy = Self::default();
        for key in keys {
            policy.insert(Member {
                key: *key,
                name: SAME_USER.to_owned(),
                options: Options::default(),
                origin: Origin::Given,
            });
        }
        policy
    }

    /// Returns this policy with commands switched on or off for all keys (`exec` in the configuration).
    #[must_use]
    pub const fn with_exec(mut self, exec: Switch) -> Self {
        self.exec = exec;
        self
    }

    /// Authorises a session, when it is opened and again whenever the policy, the address or the time has
    /// changed. `from` is `None` where the address does not matter: for a job that outlives its session.
    /// `now_unix` is in seconds since 1970. An invitation does not change the rights of a listed key.
    ///
    /// # Errors
    /// [`Denied`]
    pub fn authorize_session(
        &self,
        key: &PublicKey,
        from: Option<PeerAddr>,
        invite: Option<&[u8; INVITE]>,
        now_unix: u64,
    ) -> Result<Admission<'_>, Denied> {
        if let Some(member) = self.members.get(key) {
            check_options(&member.options, from, now_unix)?;
            return Ok(Admission::Member(member));
        }
        let invite = invite.filter(|_| !self.invalid.contains(key));
        let token = InviteToken::from_bytes(*invite.ok_or(Denied::NotListed)?);
        let mut records = self.invites.iter();
        let record = records.find(|record| record.matches(&token));
        let open = record.filter(|record| record.is_open(now_unix));
        // The options' own expiry is that of the key once it is listed.
        check_from(&open.ok_or(Denied::NotListed)?.options, from)?;
        Ok(Admission::Invited)
    }

    /// Returns all members, in arbitrary order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Returns the time after `now_unix` at which the next key or invitation expires; sessions must
    /// be authorised again then.
    #[must_use]
    pub fn next_expiry(&self, now_unix: u64) -> Option<u64> {
        let members = self.members().filter_map(|member| member.options.expires);
        let invites = self.invites.iter().map(|record| record.expires);
        members
            .chain(invites)
            .filter(|expires| *expires > now_unix)
            .min()
    }

    fn insert(&mut self, member: Member) {
        self.members.insert(member.key, member);
    }

    fn is_known(&self, key: &PublicKey) -> bool {
        self.members.contains_key(key) || self.invalid.contains(key)
    }
}

fn check_options(options: &Options, from: Option<PeerAddr>, now_unix: u64) -> Result<(), Denied> {
    if options.is_expired(now_unix) {
        return Err(Denied::Expired);
    }
    check_from(options, from)
}

fn check_from(options: &Options, from: Option<PeerAddr>) -> Result<(), Denied> {
    match from {
        Some(from) if !options.admits_from(from.ip()) => Err(Denied::Address(from.ip())),
        Some(_) | None => Ok(()),
    }
}

/// An error in the files, for the log. The file or line admits no key.
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

/// A policy under construction from the texts of its files.
#[derive(Default)]
pub struct PolicyBuilder {
    policy: Policy,
    problems: Vec<Problem>,
}

impl PolicyBuilder {
    /// Adds the text of `authorized_keys`.
    pub fn add_keys(&mut self, text: &str, path: &Path) {
        for line in authorized_keys::parse(text, path) {
            match line {
                Ok(member) => self.policy.insert(member),
                Err(refused) => {
                    self.policy.invalid.extend(refused.key);
                    self.add_line_error(path, refused.line, refused.error);
                }
            }
        }
    }

    /// Adds the text of `invites`.
    pub fn add_invites(&mut self, text: &str, path: &Path) {
        let (records, errors) = invite::parse(text);
        self.policy.invites = records;
        for (line, error) in errors {
            self.add_line_error(path, line, error);
        }
    }

    /// Adds the controller key of the agent's own user. Call it last: a line for this key takes
    /// precedence.
    pub fn add_own_user(&mut self, text: &str, path: &Path) {
        match text.trim().parse::<PublicKey>() {
            Ok(key) if self.policy.is_known(&key) => {}
            Ok(key) => self.policy.insert(Member {
                key,
                name: SAME_USER.to_owned(),
                options: Options::default(),
                origin: Origin::SameUser(path.to_owned()),
            }),
            Err(error) => self.add_line_error(path, 1, LineError::Key(error)),
        }
    }

    /// Adds a file that could not be used.
    pub fn add_file_error(&mut self, error: FileError) {
        self.problems.push(Problem::File(error));
    }

    /// Returns the policy and the errors found.
    #[must_use]
    pub fn finish(self) -> (Policy, Vec<Problem>) {
        (self.policy, self.problems)
    }

    fn add_line_error(&mut self, path: &Path, line: usize, error: LineError) {
        self.problems.push(Problem::Line {
            path: path.to_owned(),
            line,
            error,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::agent::access::testing::{key, policy};

    #[test]
    fn address_and_expiry_are_checked_for_a_session() {
        let policy = policy(&["from=10.0.0.0/8", "expires=1970-01-01T00:01:00Z"]);
        let [inside, outside] =
            [[10, 1, 2, 3], [11, 1, 2, 3]].map(|ip| PeerAddr::from(SocketAddr::from((ip, 4444))));
        let denied = |from, now_unix| {
            policy
                .authorize_session(&key(1), from, None, now_unix)
                .err()
        };
        assert_eq!(denied(Some(inside), 59), None);
        assert_eq!(denied(None, 59), None);
        assert_eq!(denied(Some(inside), 60), Some(Denied::Expired));
        assert_eq!(denied(None, 60), Some(Denied::Expired));
        assert_eq!(
            denied(Some(outside), 59),
            Some(Denied::Address(outside.ip()))
        );
        let no_ip = PeerAddr::from_id(7);
        assert_eq!(denied(Some(no_ip), 59), Some(Denied::Address(None)));
    }
}
