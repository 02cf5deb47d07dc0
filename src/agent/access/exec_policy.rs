//! The decision about one request by the options of a key: whether it may run, as which user, and
//! by which pattern.
//!
//! Not here: addresses and expiry, which are checked when a session opens, and the existence of the
//! user on the host. Invariant: the agent decides by the function that `udpagent check` explains.

use std::ffi::OsStr;
use std::fmt;

use super::{Member, Pattern};
use crate::message::{Exec, OsText};

/// A request that may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permit<'a> {
    /// The user that it runs as.
    pub user: &'a str,
    /// The pattern that allows it; `None` if the key may run anything.
    pub pattern: Option<&'a Pattern>,
}

/// Reason why a request may not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// `chat-only`.
    ChatOnly,
    /// No `allow=` matches argv.
    Command,
    /// It asks for a user that no `user=` allows.
    User,
    /// It sets variables, and the key has `allow=`.
    Variables,
    /// It sets the working policy, and the key has `allow=`.
    Folder,
    /// It asks for a terminal, and the key has `allow=`.
    Terminal,
    /// It has a script, and the key has `allow=`.
    Script,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChatOnly => "chat-only: this key runs no commands",
            Self::Command => "no allow= matches the command",
            Self::User => "user= does not name that user",
            Self::Variables => "a key with allow= cannot set variables",
            Self::Folder => "a key with allow= cannot set the working policy",
            Self::Terminal => "a key with allow= cannot use a terminal",
            Self::Script => "a key with allow= cannot run a script",
        })
    }
}

impl Member {
    /// Decides about a request. `own` is the user who runs the agent.
    ///
    /// A key with `allow=` runs exactly its patterns, in the home policy, with the agent's
    /// environment and without a terminal. A variable such as PATH or another policy would give
    /// the same words another meaning. At a terminal many programs offer a shell. A script is no
    /// command that a pattern could describe.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn judge<'a>(&'a self, exec: &'a Exec, own: &'a str) -> Result<Permit<'a>, Refusal> {
        let options = &self.options;
        if options.chat_only {
            return Err(Refusal::ChatOnly);
        }
        let pattern = if options.allow.is_empty() {
            None
        } else {
            let argv: Vec<&OsStr> = exec.argv.iter().map(OsText::as_os_str).collect();
            let mut patterns = options.allow.iter();
            let matching = patterns.find(|pattern| pattern.matches(&argv));
            Some(matching.ok_or(Refusal::Command)?)
        };
        if pattern.is_some() {
            let extras = [
                (!exec.env.is_empty(), Refusal::Variables),
                (exec.cwd.is_some(), Refusal::Folder),
                (exec.terminal.is_some(), Refusal::Terminal),
                (exec.script.is_some(), Refusal::Script),
            ];
            if let Some((_, refusal)) = extras.into_iter().find(|(there, _)| *there) {
                return Err(refusal);
            }
        }
        let user = options.users.choose(exec.user.as_deref(), own);
        let user = user.ok_or(Refusal::User)?;
        Ok(Permit { user, pattern })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{member, request};

    use crate::message::{Terminal, Window};

    fn judge(options: &[&str], exec: &Exec) -> Result<String, Refusal> {
        let member = member(options);
        member.judge(exec, "root").map(|permit| permit.user.into())
    }

    #[test]
    fn a_key_without_options_may_run_anything() {
        let mut exec = request(&["rm", "-rf", "/"]);
        exec.env = vec![("PATH".into(), "/tmp".into())];
        exec.cwd = Some("/tmp".into());
        exec.script = Some("reboot".into());
        assert_eq!(judge(&[], &exec), Ok("root".into()));
    }

    #[test]
    fn a_key_for_one_user_runs_nothing_as_another() {
        let mut exec = request(&["id"]);
        assert_eq!(judge(&["user=ann"], &exec), Ok("ann".into()));
        exec.user = Some("root".into());
        assert_eq!(judge(&["user=ann"], &exec), Err(Refusal::User));
        assert_eq!(judge(&[], &exec), Ok("root".into()));
        exec.user = Some("ann".into());
        assert_eq!(judge(&[], &exec), Err(Refusal::User));
    }

    #[test]
    fn a_chat_only_key_runs_nothing() {
        let refused = judge(&["chat-only"], &request(&["true"]));
        assert_eq!(refused, Err(Refusal::ChatOnly));
    }

    #[test]
    fn a_key_with_allow_cannot_change_the_meaning_of_its_command() {
        let member = member(&["allow=uname **", "allow=uptime"]);
        let permit = |exec: &Exec| {
            let permit = member.judge(exec, "root")?;
            Ok(permit.pattern.unwrap().to_string())
        };
        assert_eq!(permit(&request(&["uname", "-a"])), Ok("uname **".into()));
        assert_eq!(permit(&request(&["uptime"])), Ok("uptime".into()));
        for argv in [&["uptime", "-p"][..], &["sh", "-c", "uname"], &[]] {
            assert_eq!(permit(&request(argv)), Err(Refusal::Command));
        }
        let mut with_path = request(&["uname"]);
        with_path.env = vec![("PATH".into(), "/tmp/evil".into())];
        assert_eq!(permit(&with_path), Err(Refusal::Variables));
        let mut elsewhere = request(&["uname"]);
        elsewhere.cwd = Some("/tmp/evil".into());
        assert_eq!(permit(&elsewhere), Err(Refusal::Folder));
        let mut script = request(&["uname"]);
        script.script = Some("reboot".into());
        assert_eq!(permit(&script), Err(Refusal::Script));
        let mut terminal = request(&["uname"]);
        let (rows, columns) = (24, 80);
        let window = Window { rows, columns };
        let term = "xterm".into();
        terminal.terminal = Some(Terminal { term, window });
        assert_eq!(permit(&terminal), Err(Refusal::Terminal));
    }
}
