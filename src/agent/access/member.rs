//! Somebody who is listed.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Options;
use crate::crypto::PublicKey;

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
}

#[cfg(test)]
mod tests {
    use crate::agent::access::testing::member;

    #[test]
    fn place_and_time_are_checked_at_the_door() {
        let member = member(&["from=10.0.0.0/8", "expires=1970-01-01T00:01:00Z"]);
        let (inside, outside) = ("10.1.2.3".parse().unwrap(), "11.1.2.3".parse().unwrap());
        assert!(member.admitted(inside, 59));
        assert!(!member.admitted(inside, 60));
        assert!(!member.admitted(outside, 59));
    }
}
