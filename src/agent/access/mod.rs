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
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use authorized_keys::LineError;
pub use member::{Member, Origin};
pub use options::Options;
pub use pattern::{Pattern, PatternError};

use crate::crypto::{InviteToken, PublicKey};
use crate::home::{self, AgentHome, ControlHome, FileError, Readers};
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
        let own = self.control.as_ref().map(ControlHome::identity_pub);
        [self.agent.authorized_keys(), self.agent.invites()]
            .into_iter()
            .chain(own)
            .collect()
    }

    /// Reads them all. Never fails: what is wrong admits nobody and is listed.
    #[must_use]
    pub fn load(&self) -> (Access, Vec<Problem>) {
        let mut access = Access::default();
        let mut problems = Vec::new();
        let mut read = |path: &Path, readers| {
            home::read(path, readers).unwrap_or_else(|error| {
                problems.push(Problem::File(error));
                None
            })
        };
        let keys_path = self.agent.authorized_keys();
        let invites_path = self.agent.invites();
        let own_path = self.control.as_ref().map(ControlHome::identity_pub);
        let keys = read(&keys_path, Readers::All);
        let invites = read(&invites_path, Readers::Owner);
        let own = own_path
            .as_deref()
            .and_then(|path| read(path, Readers::All));

        let mut line = |path: &Path, line, error| {
            let path = path.to_owned();
            problems.push(Problem::Line { path, line, error });
        };
        for parsed in authorized_keys::parse(&keys.unwrap_or_default(), &keys_path) {
            match parsed {
                Ok(member) => access.insert(member),
                Err(refused) => {
                    access.refused.extend(refused.key);
                    line(&keys_path, refused.line, refused.error);
                }
            }
        }
        let (records, wrong) = invite::parse(&invites.unwrap_or_default());
        access.invites = records;
        for (number, error) in wrong {
            line(&invites_path, number, error);
        }
        if let (Some(path), Some(text)) = (own_path, own) {
            match text.trim().parse::<PublicKey>() {
                // A line for this key says more than that it is the own user's.
                Ok(key) if access.is_listed(&key) => {}
                Ok(key) => access.insert(Member {
                    key,
                    name: SAME_USER.to_owned(),
                    options: Options::default(),
                    origin: Origin::SameUser(path),
                }),
                Err(error) => line(&path, 1, LineError::Key(error)),
            }
        }
        (access, problems)
    }
}

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

    use crate::crypto::{PublicKey, SecretKey};
    use crate::home::AgentHome;
    use crate::rng::Rng;

    /// Somebody's key.
    pub fn key(seed: u8) -> PublicKey {
        SecretKey::generate(&mut Rng::from_seed([seed; 32])).public()
    }

    /// An agent's folders in a new temporary one.
    pub fn home_in() -> (tempfile::TempDir, AgentHome) {
        let folder = tempfile::tempdir().unwrap();
        let home = AgentHome::at(folder.path());
        (folder, home)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{home_in, key};
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn is_member(access: &Access, key: &PublicKey) -> bool {
        matches!(access.admit(key, HERE, None, 0), Some(Admission::Member(_)))
    }

    /// An agent and the controller of the same user, whose key is `key(9)`.
    fn same_user() -> (tempfile::TempDir, Sources) {
        let (folder, agent) = home_in();
        let control = ControlHome::at(&folder.path().join("udpctl"));
        fs::create_dir(control.config_dir()).unwrap();
        fs::write(control.identity_pub(), format!("{}\n", key(9))).unwrap();
        let control = Some(control);
        (folder, Sources { agent, control })
    }

    #[test]
    fn an_agent_without_files_knows_nobody() {
        let (_folder, agent) = home_in();
        let (access, problems) = Sources {
            agent,
            control: None,
        }
        .load();
        assert!(problems.is_empty());
        assert_eq!(access.members().count(), 0);
        assert!(access.admit(&key(1), HERE, Some(&[0; INVITE]), 0).is_none());
    }

    #[test]
    fn the_own_user_is_always_known() {
        let (_folder, sources) = same_user();
        let (access, problems) = sources.load();
        assert!(problems.is_empty(), "{problems:?}");
        assert!(is_member(&access, &key(9)));
        assert!(!is_member(&access, &key(1)));
        assert_eq!(access.member(&key(9)).unwrap().name, "owner");
    }

    #[test]
    fn a_line_for_the_own_key_counts_more_than_whose_it_is() {
        let (_folder, sources) = same_user();
        fs::write(
            sources.agent.authorized_keys(),
            format!("{} me chat-only\n", key(9)),
        )
        .unwrap();
        let (access, _) = sources.load();
        assert!(access.member(&key(9)).unwrap().options.chat_only);

        fs::write(
            sources.agent.authorized_keys(),
            format!("{} me chatonly\n", key(9)),
        )
        .unwrap();
        let (access, problems) = sources.load();
        assert!(!is_member(&access, &key(9)));
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_wrong_line_is_reported_with_file_and_line_and_admits_nobody() {
        let (_folder, agent) = home_in();
        let path = agent.authorized_keys();
        fs::write(&path, format!("{} a\n{} b from=x\n", key(1), key(2))).unwrap();
        let (access, problems) = Sources {
            agent,
            control: None,
        }
        .load();
        assert!(is_member(&access, &key(1)));
        assert!(!is_member(&access, &key(2)));
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert_eq!(
            problem.to_string(),
            format!(
                "{}:2: from= must be addresses or networks such as 192.0.2.0/24, not \"x\"",
                path.display()
            )
        );
    }

    #[test]
    fn files_that_others_may_write_admit_nobody() {
        let (_folder, sources) = same_user();
        let own = sources.control.as_ref().unwrap().identity_pub();
        let path = sources.agent.authorized_keys();
        fs::write(&path, format!("{} a\n", key(1))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o666)).unwrap();
        let (access, problems) = sources.load();
        assert_eq!(access.members().count(), 0);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[0].starts_with(&path.display().to_string()),
            "{texts:?}"
        );
        assert!(
            texts[0].contains(&format!("chmod go-w {}", path.display())),
            "{texts:?}"
        );
        assert!(
            texts[1].starts_with(&own.display().to_string()),
            "{texts:?}"
        );
    }

    #[test]
    fn the_next_expiry_is_the_first_to_come() {
        let (_folder, agent) = home_in();
        let line = |seed, expires| format!("{} n expires={expires}\n", key(seed));
        let text = line(1, "2030-01-01") + &line(2, "2029-01-01") + &line(3, "2001-01-01");
        fs::write(agent.authorized_keys(), text).unwrap();
        let (access, _) = Sources {
            agent,
            control: None,
        }
        .load();
        assert_eq!(access.next_expiry(1_800_000_000), Some(1_861_920_000));
        assert_eq!(access.next_expiry(1_861_920_000), Some(1_893_456_000));
        assert_eq!(access.next_expiry(1_893_456_000), None);
    }
}
