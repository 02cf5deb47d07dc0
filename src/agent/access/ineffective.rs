//! Options that are valid and make a key useless: for `udpagent check` and `udpagent invite`.
//!
//! Not errors in a line: the agent applies such options as they are written.

use super::{Accounts, LineError, Options, Origin, Policy, Problem};

impl Options {
    /// Returns the options by which the key can do nothing, or nothing as some user.
    #[must_use]
    pub fn ineffective(&self, accounts: &dyn Accounts, now_unix: u64) -> Vec<LineError> {
        let mut found = Vec::new();
        if self.is_expired(now_unix) {
            found.push(LineError::Expired);
        }
        for user in self.users.named() {
            if let Err(error) = accounts.check_user(user) {
                found.push(LineError::User(user.clone(), error));
            }
        }
        found
    }
}

impl Policy {
    /// Returns the lines with [`ineffective`](Options::ineffective) options, in their order.
    #[must_use]
    pub fn ineffective_lines(&self, accounts: &dyn Accounts, now_unix: u64) -> Vec<Problem> {
        let mut found = Vec::new();
        for member in self.members() {
            let (path, line) = match &member.origin {
                Origin::Line(path, line) => (path, *line),
                Origin::SameUser(_) | Origin::Given => continue,
            };
            for error in member.options.ineffective(accounts, now_unix) {
                let path = path.clone();
                found.push((line, Problem::Line { path, line, error }));
            }
        }
        found.sort_by_key(|&(line, _)| line);
        found.into_iter().map(|(_, problem)| problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::access::testing::{TestAccounts, key, policy_of_lines};

    #[test]
    fn a_line_that_has_expired_or_names_an_unknown_user_is_named() {
        let policy = policy_of_lines(&format!(
            "{} a\n{} b expires=1970-01-01T00:01:00Z\n{} c user=ann,ghost\n",
            key(1),
            key(2),
            key(3)
        ));
        let words = |now| {
            let found = policy.ineffective_lines(&TestAccounts, now);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let ghost = words(59).pop().unwrap();
        assert!(
            ghost.starts_with("authorized_keys:3: user=ghost: "),
            "{ghost}"
        );
        let expired =
            "authorized_keys:2: expires= has passed; remove the line or write a later time";
        assert_eq!(words(60), [expired, &ghost]);
    }
}
