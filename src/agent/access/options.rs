//! The options of a line in `authorized_keys` or `invites`.
//!
//! Invariant: an option that is not understood is an error, because it may be a restriction.

use std::net::IpAddr;

use ipnet::IpNet;

use super::copy_rule::COPY_WANT;
use super::{CopyRule, DestinationPattern, LineError, Pattern, Users, destination, expiry};
use crate::agent::cgroup_limits;
use crate::process::CgroupLimits;

/// Restrictions of a key. The default is none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Options {
    /// Commands that the key may run; empty for any command.
    pub allow: Vec<Pattern>,
    /// Destinations that the key may forward connections to; empty for any, if it may run any command as the agent's own
    /// user, or else none.
    pub forward: Vec<DestinationPattern>,
    /// Directories that it may copy files from and to. If there is none, a key that may run any command may copy
    /// everywhere, and any other nowhere.
    pub copy: Vec<CopyRule>,
    /// True if the key may run no command at all.
    pub chat_only: bool,
    /// True if the key may see, attach to and end the jobs of all keys.
    pub admin: bool,
    /// Users that its commands may run as.
    pub users: Users,
    /// Addresses that it may connect from; empty for any address.
    pub from: Vec<IpNet>,
    /// Upper bound of its running jobs; `None` for the agent's limit.
    pub max_jobs: Option<u32>,
    /// Expiry in seconds since 1970.
    pub expires: Option<u64>,
    /// Limits of the cgroup of each of its jobs, in place of the agent's.
    pub cgroup_limits: CgroupLimits,
}

impl Options {
    /// Parses words such as `allow=uname -a`, already split.
    ///
    /// # Errors
    /// [`LineError`] for the first word that is not an option or has an invalid value. A
    /// restriction that is not understood must not be ignored.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, LineError> {
        let mut options = Self::default();
        for word in words.iter().map(AsRef::as_ref) {
            options.add(word)?;
        }
        // An administrator can type into the terminals of other keys, and so run anything.
        for (first, second, both) in [
            (
                "chat-only",
                "allow=",
                options.chat_only && !options.allow.is_empty(),
            ),
            ("chat-only", "admin", options.chat_only && options.admin),
            (
                "chat-only",
                "forward=",
                options.chat_only && !options.forward.is_empty(),
            ),
            (
                "allow=",
                "admin",
                !options.allow.is_empty() && options.admin,
            ),
        ] {
            if both {
                return Err(LineError::Contradiction(first, second));
            }
        }
        Ok(options)
    }

    fn add(&mut self, word: &str) -> Result<(), LineError> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let wrong = |option: &'static str, want: &'static str| LineError::Value {
            option,
            value: value.unwrap_or_default().to_owned(),
            want,
        };
        // A line break would begin another line of the file to which the words are written.
        if word.contains(char::is_control) {
            return Err(LineError::Control(word.to_owned()));
        }
        match (name, value) {
            ("chat-only", None) => self.chat_only = true,
            ("admin", None) => self.admin = true,
            ("allow", Some(value)) => {
                let pattern = Pattern::parse(value).map_err(LineError::Pattern)?;
                self.allow.push(pattern);
            }
            ("forward", Some(value)) => {
                let pattern = DestinationPattern::parse(value);
                let pattern = pattern.ok_or_else(|| wrong("forward", destination::WANT))?;
                self.forward.push(pattern);
            }
            ("copy", Some(value)) => {
                let rule = CopyRule::parse(value).ok_or_else(|| wrong("copy", COPY_WANT))?;
                self.copy.push(rule);
            }
            ("user", Some(value)) => self.users.add(value)?,
            ("from", Some(value)) => {
                for part in value.split(',') {
                    let network = parse_network(part).ok_or_else(|| {
                        wrong("from", "addresses or networks such as 192.0.2.0/24")
                    })?;
                    self.from.push(network);
                }
            }
            ("max-jobs", Some(value)) => {
                let jobs = value
                    .parse()
                    .ok()
                    .filter(|jobs| *jobs > 0)
                    .ok_or_else(|| wrong("max-jobs", "a number of at least 1"))?;
                once("max-jobs", &mut self.max_jobs, jobs)?;
            }
            ("expires", Some(value)) => {
                let time = expiry::parse(value).ok_or_else(|| {
                    wrong(
                        "expires",
                        "a date or time such as 2030-01-31 or 2030-01-31T12:00:00Z",
                    )
                })?;
                once("expires", &mut self.expires, time)?;
            }
            ("memory", Some(value)) => {
                let bytes = cgroup_limits::parse_memory(value)
                    .ok_or_else(|| wrong("memory", cgroup_limits::MEMORY_WANT))?;
                once("memory", &mut self.cgroup_limits.memory, bytes)?;
            }
            ("pids", Some(value)) => {
                let number = cgroup_limits::parse_pids(value)
                    .ok_or_else(|| wrong("pids", cgroup_limits::PIDS_WANT))?;
                once("pids", &mut self.cgroup_limits.pids, number)?;
            }
            ("cpu", Some(value)) => {
                let percent = cgroup_limits::parse_cpu(value)
                    .ok_or_else(|| wrong("cpu", cgroup_limits::CPU_WANT))?;
                once("cpu", &mut self.cgroup_limits.cpu_percent, percent)?;
            }
            _ => return Err(LineError::UnknownOption(word.to_owned())),
        }
        Ok(())
    }

    /// Returns true if the key may connect from this address. A peer without an IP address is in no network.
    #[must_use]
    pub fn admits_from(&self, from: impl Into<Option<IpAddr>>) -> bool {
        let from = from.into().map(|from| from.to_canonical());
        self.from.is_empty()
            || from.is_some_and(|from| self.from.iter().any(|network| network.contains(&from)))
    }

    /// Returns true if the decision depends on the address.
    #[must_use]
    pub const fn restricts_from(&self) -> bool {
        !self.from.is_empty()
    }

    /// Returns true if the key has expired.
    #[must_use]
    pub fn is_expired(&self, now_unix: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now_unix)
    }
}

fn once<T>(option: &'static str, place: &mut Option<T>, value: T) -> Result<(), LineError> {
    if place.is_some() {
        return Err(LineError::Twice(option));
    }
    *place = Some(value);
    Ok(())
}

fn parse_network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Options, LineError> {
        Options::parse(&shlex::split(text).unwrap())
    }

    #[test]
    fn every_option_is_parsed() {
        let options = parse(
            "allow=\"uname -a\" allow='git **' user=www-data,ann user=* from=192.0.2.0/24,2001:db8::/32 \
             from=127.0.0.1 max-jobs=3 expires=2030-01-31 memory='1.5 GiB' pids=10 cpu=150%",
        )
        .unwrap();
        assert_eq!(options.allow.len(), 2);
        assert_eq!(options.users.named(), ["www-data", "ann"]);
        assert!(options.users.any());
        assert_eq!(options.max_jobs, Some(3));
        assert_eq!(options.expires, Some(1_896_048_000));
        for (address, admitted) in [
            ("192.0.2.77", true),
            ("::ffff:192.0.2.77", true),
            ("192.0.3.1", false),
            ("2001:db8::5", true),
            ("2001:db9::5", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
        ] {
            assert_eq!(
                options.admits_from(address.parse::<IpAddr>().unwrap()),
                admitted,
                "{address}"
            );
        }
        let limits = CgroupLimits {
            memory: Some(3 << 29),
            pids: Some(10),
            cpu_percent: Some(150),
        };
        assert_eq!(options.cgroup_limits, limits);
        assert!(!options.admin);
        assert!(parse("admin user=*").unwrap().admin);
        assert!(parse("chat-only").unwrap().chat_only);
    }

    #[test]
    fn a_key_expires_at_its_expiry_time_not_after_it() {
        let options = parse("expires=1970-01-01T00:01:00Z").unwrap();
        assert!(!options.is_expired(59));
        assert!(options.is_expired(60));
        assert!(!Options::default().is_expired(u64::MAX));
    }

    #[test]
    fn a_restriction_that_is_not_understood_is_an_error() {
        for (text, message) in [
            (
                "no-pty",
                "unknown option \"no-pty\"; use one of allow=, copy=, chat-only, forward=, user=, from=, max-jobs=, expires=, \
                 memory=, pids=, cpu=, admin",
            ),
            ("Chat-Only", "unknown option \"Chat-Only\""),
            ("chat-only=yes", "unknown option \"chat-only=yes\""),
            ("allow", "unknown option \"allow\""),
            ("forward", "unknown option \"forward\""),
            (
                "forward=db",
                "forward= must be HOST:PORT, HOST:*, *:PORT, unix:/PATH or *, with an IPv6 address in brackets, not \"db\"",
            ),
            (
                "copy=srv",
                "copy= must be an absolute directory or *, with read: or write: before it for one direction, not \"srv\"",
            ),
            ("copy=/srv/..", "copy= must be an absolute directory"),
            ("allow=", "allow= must name a program"),
            ("'allow=a\nb'", "\"allow=a\\nb\" has a control character"),
            ("allow='a*'", "allow= may have * and ** only as whole words"),
            (
                "user=",
                "user= must be names of users separated by commas, or * for any, not \"\"",
            ),
            ("user=a,-x", "user= must be names of users"),
            ("user=a,", "user= must be names of users"),
            ("user=a*", "user= must be names of users"),
            (
                "from=10/8",
                "from= must be addresses or networks such as 192.0.2.0/24, not \"10/8\"",
            ),
            ("from=", "from= must be"),
            ("from=127.0.0.1,", "from= must be"),
            (
                "max-jobs=0",
                "max-jobs= must be a number of at least 1, not \"0\"",
            ),
            ("max-jobs=-1", "max-jobs= must be"),
            ("expires=soon", "expires= must be a date or time"),
            ("memory=1k", "memory= must be a size of at least 1 MiB"),
            ("pids=0", "pids= must be a number of at least 1, not \"0\""),
            ("pids=1 pids=2", "pids= is given twice; keep one"),
            ("cpu=half", "cpu= must be a percentage of one processor"),
            ("admin=yes", "unknown option \"admin=yes\""),
            (
                "chat-only admin",
                "chat-only and admin contradict each other",
            ),
            (
                "chat-only forward=*",
                "chat-only and forward= contradict each other",
            ),
            ("admin allow=ls", "allow= and admin contradict each other"),
            (
                "chat-only allow=ls",
                "chat-only and allow= contradict each other",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_word_panics(
            name in "allow|chat-only|forward|user|from|max-jobs|expires|memory|pids|cpu|admin|.{0,5}",
            value in "[=]?.{0,20}",
        ) {
            let _ = Options::parse(&[name + &value]);
        }
    }
}
