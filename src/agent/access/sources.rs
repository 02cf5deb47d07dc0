//! The files behind a [`Policy`].

use std::path::PathBuf;

use super::{Policy, PolicyFile, PolicyFiles, Problem};
use crate::home::{AgentHome, ControlHome, Readers};

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

    /// Reads all files. Never fails: a file with an error is part of the result.
    #[must_use]
    pub fn read(&self) -> PolicyFiles {
        let own = self.control.as_ref().map(ControlHome::identity_pub);
        PolicyFiles {
            authorized_keys: PolicyFile::read(&self.agent.authorized_keys(), Readers::All),
            invites: PolicyFile::read(&self.agent.invites(), Readers::Owner),
            own_key: own.map(|path| PolicyFile::read(&path, Readers::All)),
        }
    }

    /// Reads all files and returns their policy. Never fails: a file or line with an error admits no key
    /// and is listed.
    #[must_use]
    pub fn load(&self) -> (Policy, Vec<Problem>) {
        self.read().policy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{home_in, key};
    use crate::agent::access::{Admission, Content, Denied, FaultKind, Member, OwnUser};
    use crate::crypto::PublicKey;
    use crate::home::FileError;
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
        assert!(policy.authorize_admin(&key(9), None, 0).is_ok());
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
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(
            texts[0].starts_with(&path.display().to_string()),
            "{texts:?}"
        );
        assert!(
            texts[0].contains(&format!("chmod go-w {}", path.display())),
            "{texts:?}"
        );
        assert_eq!(
            texts[1],
            format!("{}: no key of this file is admitted", path.display())
        );
        assert!(
            texts[2].starts_with(&own.display().to_string()),
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

    fn write_keys(sources: &Sources, content: impl AsRef<[u8]>) -> PathBuf {
        let path = sources.agent.authorized_keys();
        fs::write(&path, content).unwrap();
        path
    }

    fn own_user_is_admitted(sources: &Sources) -> bool {
        let (policy, _) = sources.load();
        member(&policy, &key(9)).is_some()
    }

    #[test]
    fn policy_files_survive_serialization_and_give_the_same_policy() {
        let (_directory, sources) = same_user();
        write_keys(
            &sources,
            [key(1).to_string().as_bytes(), b" a\n\xff"].concat(),
        );
        let files = sources.read();
        let wire = serde_json::to_vec(&files).unwrap();
        let received: PolicyFiles = serde_json::from_slice(&wire).unwrap();
        assert_eq!(received, files);
        assert_eq!(received.policy().1, sources.load().1);
        assert_eq!(files.invites.content, Content::Absent);
        fs::set_permissions(
            files.authorized_keys.path(),
            fs::Permissions::from_mode(0o602),
        )
        .unwrap();
        let Content::Unusable(fault) = sources.read().authorized_keys.content else {
            panic!("others may write it")
        };
        assert_eq!(fault.kind, FaultKind::TooOpen);
    }

    #[test]
    fn while_authorized_keys_cannot_be_used_the_own_user_is_not_admitted_either() {
        let (directory, sources) = same_user();
        assert!(own_user_is_admitted(&sources));
        let line = format!("{} me chat-only\n", key(9));
        let path = write_keys(&sources, &line);
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o620);
        assert!(!own_user_is_admitted(&sources), "group-writable");
        mode(0o600);
        assert!(own_user_is_admitted(&sources));
        for bad in [
            format!("# \0\n{line}").as_bytes(),
            &[line.as_bytes(), b"\xff"].concat(),
        ] {
            write_keys(&sources, bad);
            assert!(!own_user_is_admitted(&sources), "{bad:?}");
        }
        let folder = path.parent().unwrap();
        write_keys(&sources, &line);
        fs::set_permissions(folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(
            !own_user_is_admitted(&sources),
            "the directory is group-writable"
        );
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!own_user_is_admitted(&sources), "a directory");
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(directory.path().join("not-mounted"), &path).unwrap();
        assert!(!own_user_is_admitted(&sources), "a link without a target");
        let (policy, problems) = sources.load();
        assert_eq!(*policy.own_user(), OwnUser::KeysUnusable(path.clone()));
        let last = problems.last().unwrap().to_string();
        assert_eq!(
            last,
            format!(
                "this user's own controller is not admitted until {} can be used: it may restrict this key",
                path.display()
            )
        );
        fs::remove_file(&path).unwrap();
        assert!(own_user_is_admitted(&sources), "there is no file");
    }

    #[test]
    fn files_whose_file_system_does_not_answer_admit_nobody_and_suspend_the_policy() {
        let (_directory, sources) = same_user();
        write_keys(&sources, format!("{} a\n", key(1)));
        let files = sources.read();
        let (policy, _) = files.policy();
        assert!(!policy.is_suspended() && !files.are_unanswered());
        let unanswered = files.unanswered("no answer");
        assert!(unanswered.are_unanswered());
        let (policy, problems) = unanswered.policy();
        assert!(policy.is_suspended());
        for admitted in [1, 9] {
            let denied = policy.authorize_session(&key(admitted), None, Some(&[0; INVITE]), 0);
            assert_eq!(denied.err(), Some(Denied::Suspended));
        }
        let first = problems[0].to_string();
        assert!(first.ends_with("authorized_keys: no answer"), "{first}");
        // Else the own user's commands would be ended by a file system that fails.
        let own = files
            .own_key
            .as_ref()
            .map(|own| own.unanswered("no answer"));
        let files = PolicyFiles {
            own_key: Some(own.unwrap()),
            ..files
        };
        assert!(files.are_unanswered() && files.policy().0.is_suspended());
        for (errno, lost) in [(libc::ENOTCONN, true), (libc::EACCES, false)] {
            let error = std::io::Error::from_raw_os_error(errno);
            let fault = crate::agent::access::FileFault::from(FileError::Io("x".into(), error));
            assert_eq!(fault.kind == FaultKind::Unanswered, lost, "{errno}");
        }
    }

    #[test]
    fn the_line_of_a_bad_byte_is_named() {
        let (_directory, sources) = same_user();
        for bad in ["\0", "\u{ff}\0"] {
            let path = write_keys(&sources, format!("{} a\n{bad}\n", key(1)));
            let (policy, problems) = sources.load();
            assert_eq!(policy.members().count(), 0);
            let first = problems[0].to_string();
            let place = format!("{}:2: not UTF-8 text", path.display());
            assert!(first.starts_with(&place), "{first}");
        }
    }

    #[test]
    fn a_line_whose_key_is_not_recognised_may_be_that_of_the_own_user() {
        let (_directory, sources) = same_user();
        for (line, own) in [
            (format!("{} b from=x", key(2)), true),
            (format!("{} me from=x", key(9)), false),
            (format!("chat-only {} me", key(9)), false),
            (format!("{}x me", key(9)), false),
            ("ua1: me chat-only".to_owned(), false),
        ] {
            write_keys(&sources, format!("{} a\n{line}\n", key(1)));
            let (policy, problems) = sources.load();
            assert!(member(&policy, &key(1)).is_some());
            assert_eq!(member(&policy, &key(9)).is_some(), own, "{line}");
            assert!(
                problems[0].to_string().contains("authorized_keys:2: "),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn a_key_with_a_good_and_a_bad_line_is_refused_and_equal_lines_count_as_one() {
        let (_directory, sources) = same_user();
        for (first, second, admitted) in [
            ("a", "b", true),
            ("a max-jobs=1", "a max-jobs=1", true),
            ("a", "a chat-only", false),
            ("a", "a chatonly", false),
            ("a chatonly", "a", false),
        ] {
            write_keys(&sources, format!("{0} {first}\n{0} {second}\n", key(1)));
            let (policy, problems) = sources.load();
            assert_eq!(
                member(&policy, &key(1)).is_some(),
                admitted,
                "{first} {second}"
            );
            assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_byte_order_mark_and_crlf_line_ends_are_read() {
        let (_directory, sources) = same_user();
        write_keys(
            &sources,
            format!("\u{feff}{} a\r\n{} b chat-only\r\n", key(1), key(2)),
        );
        let (policy, problems) = sources.load();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(member(&policy, &key(1)).unwrap().name, "a");
        assert!(member(&policy, &key(2)).unwrap().options.chat_only);
        assert!(member(&policy, &key(9)).is_some());
    }
}
