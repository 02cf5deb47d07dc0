//! Somebody who is listed.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::PathBuf;

use super::Options;
use crate::crypto::PublicKey;
use crate::message::{Exec, OsText};

/// Who, and with what restrictions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The key.
    pub key: PublicKey,
    /// The name, safe to print.
    pub name: String,
    /// What holds it back.
    pub options: Options,
    /// What says so.
    pub origin: Origin,
}

/// Where a member is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line of `authorized_keys`.
    Line(PathBuf, usize),
    /// The controller key of the user who runs the agent.
    SameUser(PathBuf),
    /// The program itself: `--local`, tests.
    Given,
}

impl Member {
    /// Whether the key is good at this address and time (seconds since 1970).
    #[must_use]
    pub fn admitted(&self, from: IpAddr, now_unix: u64) -> bool {
        self.options.admits_from(from) && !self.options.is_expired(now_unix)
    }

    /// Whether this argv may run. Says nothing about time and place: those were checked at the door.
    #[must_use]
    pub fn may_run<S: AsRef<OsStr>>(&self, argv: &[S]) -> bool {
        let allow = &self.options.allow;
        !self.options.chat_only
            && (allow.is_empty() || allow.iter().any(|pattern| pattern.matches(argv)))
    }

    /// Whether this request may run. A key with `allow=` runs exactly its patterns in the home
    /// directory with the agent's environment and without a terminal: a variable such as PATH, or another
    /// folder, would give the same words another meaning, and at a terminal many programs offer a shell. A key with `user=` runs nothing if `account`, as whom the
    /// command would run, is somebody else.
    #[must_use]
    pub fn may_exec(&self, exec: &Exec, account: &OsStr) -> bool {
        let argv: Vec<&OsStr> = exec.argv.iter().map(OsText::as_os_str).collect();
        let plain = exec.env.is_empty() && exec.cwd.is_none() && exec.terminal.is_none();
        let user = self.options.user.as_deref();
        user.is_none_or(|user| account == user)
            && self.may_run(&argv)
            && (plain || self.options.allow.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::key;
    use crate::message::RequestId;

    fn member(options: &[&str]) -> Member {
        Member {
            key: key(1),
            name: "alice".to_owned(),
            options: Options::parse(options).unwrap(),
            origin: Origin::Given,
        }
    }

    fn request(argv: &[&str]) -> Exec {
        let argv = argv.iter().map(|word| (*word).into()).collect();
        Exec::new(RequestId([1; 16]), argv)
    }

    #[test]
    fn without_options_anything_may_run() {
        let mut exec = request(&["rm", "-rf", "/"]);
        exec.env = vec![("PATH".into(), "/tmp".into())];
        exec.cwd = Some("/tmp".into());
        assert!(member(&[]).may_exec(&exec, OsStr::new("root")));
    }

    #[test]
    fn a_key_for_one_user_runs_nothing_as_another() {
        let member = member(&["user=www-data"]);
        let exec = request(&["id"]);
        assert!(member.may_exec(&exec, OsStr::new("www-data")));
        assert!(!member.may_exec(&exec, OsStr::new("root")));
    }

    #[test]
    fn chat_only_runs_nothing() {
        assert!(!member(&["chat-only"]).may_exec(&request(&["true"]), OsStr::new("root")));
    }

    #[test]
    fn a_restricted_key_cannot_change_what_its_words_mean() {
        let member = member(&["allow=uname **", "allow=uptime"]);
        assert!(member.may_exec(&request(&["uname", "-a"]), OsStr::new("root")));
        assert!(member.may_exec(&request(&["uptime"]), OsStr::new("root")));
        assert!(!member.may_exec(&request(&["uptime", "-p"]), OsStr::new("root")));
        assert!(!member.may_exec(&request(&["sh", "-c", "uname"]), OsStr::new("root")));
        assert!(!member.may_exec(&request(&[]), OsStr::new("root")));
        let mut with_path = request(&["uname"]);
        with_path.env = vec![("PATH".into(), "/tmp/evil".into())];
        assert!(!member.may_exec(&with_path, OsStr::new("root")));
        let mut elsewhere = request(&["uname"]);
        elsewhere.cwd = Some("/tmp/evil".into());
        assert!(!member.may_exec(&elsewhere, OsStr::new("root")));
    }

    #[test]
    fn place_and_time_are_checked_at_the_door() {
        let member = member(&["from=10.0.0.0/8", "expires=1970-01-01T00:01:00Z"]);
        let (inside, outside) = ("10.1.2.3".parse().unwrap(), "11.1.2.3".parse().unwrap());
        assert!(member.admitted(inside, 59));
        assert!(!member.admitted(inside, 60));
        assert!(!member.admitted(outside, 59));
    }
}
