//! The files behind [`Access`], and their combination into a snapshot.

use std::path::{Path, PathBuf};

use super::{Access, LineError, Member, Options, Origin, Problem, SAME_USER};
use super::{authorized_keys, invite};
use crate::crypto::PublicKey;
use crate::home::{self, AgentHome, ControlHome, Readers};

/// The files that grant access. Reload when one of [`Sources::paths`] changes.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The agent's directories.
    pub agent: AgentHome,
    /// The directories of the same user's controller, whose key is always accepted; `None` for no
    /// such key.
    pub control: Option<ControlHome>,
}

impl Sources {
    /// Returns the files to watch. Some of them, and their directories, may not exist yet.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let own = self.control.as_ref().map(ControlHome::identity_pub);
        [self.agent.authorized_keys(), self.agent.invites()]
            .into_iter()
            .chain(own)
            .collect()
    }

    /// Reads all files. Never fails: a file or line with an error admits nobody and is listed.
    #[must_use]
    pub fn load(&self) -> (Access, Vec<Problem>) {
        let mut draft = Draft::default();
        let keys = self.agent.authorized_keys();
        if let Some(text) = draft.read(&keys, Readers::All) {
            draft.add_keys(&text, &keys);
        }
        let invites = self.agent.invites();
        if let Some(text) = draft.read(&invites, Readers::Owner) {
            draft.add_invites(&text, &invites);
        }
        if let Some(own) = self.control.as_ref().map(ControlHome::identity_pub)
            && let Some(text) = draft.read(&own, Readers::All)
        {
            draft.add_own_user(&text, &own);
        }
        draft.finish()
    }
}

/// A snapshot under construction. The own user's key is added last, because a line for it takes
/// precedence.
#[derive(Default)]
pub(super) struct Draft {
    access: Access,
    problems: Vec<Problem>,
}

impl Draft {
    fn read(&mut self, path: &Path, readers: Readers) -> Option<String> {
        home::read(path, readers).unwrap_or_else(|error| {
            self.problems.push(Problem::File(error));
            None
        })
    }

    pub(super) fn add_keys(&mut self, text: &str, path: &Path) {
        for line in authorized_keys::parse(text, path) {
            match line {
                Ok(member) => self.access.insert(member),
                Err(refused) => {
                    self.access.refused.extend(refused.key);
                    self.refuse(path, refused.line, refused.error);
                }
            }
        }
    }

    pub(super) fn add_invites(&mut self, text: &str, path: &Path) {
        let (records, wrong) = invite::parse(text);
        self.access.invites = records;
        for (line, error) in wrong {
            self.refuse(path, line, error);
        }
    }

    fn add_own_user(&mut self, text: &str, path: &Path) {
        match text.trim().parse::<PublicKey>() {
            Ok(key) if self.access.is_listed(&key) => {}
            Ok(key) => self.access.insert(Member {
                key,
                name: SAME_USER.to_owned(),
                options: Options::default(),
                origin: Origin::SameUser(path.to_owned()),
            }),
            Err(error) => self.refuse(path, 1, LineError::Key(error)),
        }
    }

    fn refuse(&mut self, path: &Path, line: usize, error: LineError) {
        self.problems.push(Problem::Line {
            path: path.to_owned(),
            line,
            error,
        });
    }

    pub(super) fn finish(self) -> (Access, Vec<Problem>) {
        (self.access, self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::Admission;
    use crate::agent::access::testing::{home_in, key};
    use crate::wire::limits::INVITE;
    use std::fs;
    use std::net::IpAddr;
    use std::os::unix::fs::PermissionsExt as _;

    const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn is_member(access: &Access, key: &PublicKey) -> bool {
        matches!(
            access.admit(key, LOCALHOST, None, 0),
            Some(Admission::Member(_))
        )
    }

    /// Returns an agent and the controller of the same user, whose key is `key(9)`.
    fn same_user() -> (tempfile::TempDir, Sources) {
        let (folder, agent) = home_in();
        let control = ControlHome::at(&folder.path().join("udpctl"));
        fs::create_dir(control.config_dir()).unwrap();
        fs::write(control.identity_pub(), format!("{}\n", key(9))).unwrap();
        let control = Some(control);
        (folder, Sources { agent, control })
    }

    #[test]
    fn an_agent_without_files_admits_nobody() {
        let (_folder, agent) = home_in();
        let (access, problems) = Sources {
            agent,
            control: None,
        }
        .load();
        assert!(problems.is_empty());
        assert_eq!(access.members().count(), 0);
        assert!(
            access
                .admit(&key(1), LOCALHOST, Some(&[0; INVITE]), 0)
                .is_none()
        );
    }

    #[test]
    fn the_own_users_key_is_always_admitted() {
        let (_folder, sources) = same_user();
        let (access, problems) = sources.load();
        assert!(problems.is_empty(), "{problems:?}");
        assert!(is_member(&access, &key(9)));
        assert!(!is_member(&access, &key(1)));
        assert_eq!(access.member(&key(9)).unwrap().name, "owner");
    }

    #[test]
    fn a_line_for_the_own_users_key_takes_precedence() {
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
    fn a_line_with_an_error_is_reported_with_file_and_line_and_admits_nobody() {
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
    fn the_next_expiry_is_the_earliest_in_the_future() {
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
