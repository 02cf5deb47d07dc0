//! A member: a key with its name and options.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Options;
use crate::crypto::PublicKey;

/// A listed key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The public key.
    pub key: PublicKey,
    /// Name of the key, safe to print.
    pub name: String,
    /// Restrictions of the key.
    pub options: Options,
    /// Source of the entry.
    pub origin: Origin,
}

/// Source of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line of `authorized_keys`.
    Line(PathBuf, usize),
    /// The controller key of the user who runs the agent.
    SameUser(PathBuf),
    /// The program itself, for `--local` and tests.
    Given,
}

impl Member {
    /// Returns true if the key is valid from this address at this time (seconds since 1970).
    #[must_use]
    pub fn admitted(&self, from: impl Into<Option<IpAddr>>, now_unix: u64) -> bool {
        self.options.admits_from(from) && !self.options.is_expired(now_unix)
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::access::testing::member;

    #[test]
    fn address_and_expiry_are_checked_at_admission() {
        let member = member(&["from=10.0.0.0/8", "expires=1970-01-01T00:01:00Z"]);
        let [inside, outside] =
            ["10.1.2.3", "11.1.2.3"].map(|ip| ip.parse::<std::net::IpAddr>().unwrap());
        assert!(!member.admitted(None, 0), "a peer without an IP address");
        assert!(member.admitted(inside, 59));
        assert!(!member.admitted(inside, 60));
        assert!(!member.admitted(outside, 59));
    }
}
