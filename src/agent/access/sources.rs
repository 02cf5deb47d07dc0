//! The files behind a [`Policy`].

use std::path::{Path, PathBuf};

use super::{Policy, PolicyBuilder, Problem};
use crate::home::{self, AgentHome, ControlHome, Readers};

/// The files that grant access. Reload when one of [`Sources::paths`] changes.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The agent's directories.
    pub agent: AgentHome,
    /// The directories of the same user's controller, to accept its key without a line; `None` to
    /// accept no such key.
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

    /// Reads all files. Never fails: a file or line with an error admits no key and is listed.
    #[must_use]
    pub fn load(&self) -> (Policy, Vec<Problem>) {
        let mut builder = PolicyBuilder::default();
        let keys = self.agent.authorized_keys();
        if let Some(text) = read(&mut builder, &keys, Readers::All) {
            builder.add_keys(&text, &keys);
        }
        let invites = self.agent.invites();
        if let Some(text) = read(&mut builder, &invites, Readers::Owner) {
            builder.add_invites(&text, &invites);
        }
        if let Some(own) = self.control.as_ref().map(ControlHome::identity_pub)
            && let Some(text) = read(&mut builder, &own, Readers::All)
        {
            builder.add_own_user(&text, &own);
        }
        builder.finish()
    }
}

/// Reads a file, if there is one.
fn read(builder: &mut PolicyBuilder, path: &Path, readers: Readers) -> Option<String> {
    home::read(path, readers).unwrap_or_else(|error| {
        builder.add_file_error(error);
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{home_in, key};
    use crate::agent::access::{Admission, Denied, Member};
    use crate::crypto::PublicKey;
    use crate::wire::limits::INVITE;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn member<'a>(policy: &'a Policy, key: &PublicKey) -> Option<&'a Member> {
        match policy.authorize_session(key, None, None, 0) {
            Ok(Admission::Member(member)) => Some(member),
            Ok(Admission::Invited) | Err(_) => None,
        }
    }

    /// Returns an agent and the controller of the same user, which has the key `key(9)`.
    fn same_user() -> (tempfile::TempDir, Sources) {
        let (directory, agent) = home_in();
        let control = ControlHome::at(&directory.path().join("udpctl"));
        fs::create_dir(control.identity().parent().unwrap()).unwrap();
        fs::write(control.identity_pub(), format!("{}\n", key(9))).unwrap();
        let control = Some(control);
        (directory, Sources { agent, control })
    }

    #[test]
    fn an_agent_without_files_admits_nobody() {
        let (_directory, agent) = home_in();
        let (policy, problems) = Sources {
            agent,
            control: None,
        }
        .load();
        assert!(problems.is_empty());
        assert_eq!(policy.members().count(), 0);
        let denied = policy.authorize_session(&key(1), None, Some(&[0; INVITE]), 0);
        assert_eq!(denied.err(), Some(Denied::NotListed));
    }

    #[test]
    fn the_own_users_key_is_always_admitted() {
        let (_directory, sources) = same_user();
        let (policy, problems) = sources.load();
        assert!(problems.is_empty(), "{problems:?}");
        assert!(member(&policy, &key(9)).is_some());
        assert!(member(&policy, &key(1)).is_none());
        assert_eq!(member(&policy, &key(9)).unwrap().name, "owner");
    }

    #[test]
    fn a_line_for_the_own_users_key_takes_precedence() {
        let (_directory, sources) = same_user();
        fs::write(
            sources.agent.authorized_keys(),
            format!("{} me chat-only\n", key(9)),
        )
        .unwrap();
        let (policy, _) = sources.load();
        assert!(member(&policy, &key(9)).unwrap().options.chat_only);

        fs::write(
            sources.agent.authorized_keys(),
            format!("{} me chatonly\n", key(9)),
        )
        .unwrap();
        let (policy, problems) = sources.load();
        assert!(member(&policy, &key(9)).is_none());
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_line_with_an_error_is_reported_with_file_and_line_and_admits_nobody() {
        let (_directory, agent) = home_in();
        let path = agent.authorized_keys();
        fs::write(&path, format!("{} a\n{} b from=x\n", key(1), key(2))).unwrap();
        let (policy, problems) = Sources {
            agent,
            control: None,
        }
        .load();
        assert!(member(&policy, &key(1)).is_some());
        assert!(member(&policy, &key(2)).is_none());
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
        let (_directory, sources) = same_user();
        let own = sources.control.as_ref().unwrap().identity_pub();
        let path = sources.agent.authorized_keys();
        fs::write(&path, format!("{} a\n", key(1))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o666)).unwrap();
        let (policy, problems) = sources.load();
        assert_eq!(policy.members().count(), 0);
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
        let (_directory, agent) = home_in();
        let line = |seed, expires| format!("{} n expires={expires}\n", key(seed));
        let text = line(1, "2030-01-01") + &line(2, "2029-01-01") + &line(3, "2001-01-01");
        fs::write(agent.authorized_keys(), text).unwrap();
        let (policy, _) = Sources {
            agent,
            control: None,
        }
        .load();
        assert_eq!(policy.next_expiry(1_800_000_000), Some(1_861_920_000));
        assert_eq!(policy.next_expiry(1_861_920_000), Some(1_893_456_000));
        assert_eq!(policy.next_expiry(1_893_456_000), None);
    }
}
