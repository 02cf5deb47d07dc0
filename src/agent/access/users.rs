//! The users that the commands of a key run as: `user=` in a line of `authorized_keys`.
//!
//! Not here: whether such a user exists, and whether the agent can run commands as that user.
//! Invariant: a key runs commands as the agent's own user, or as one that its line allows.

use super::LineError;

/// The users that a line names. By default it names none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Users {
    named: Vec<String>,
    any: bool,
}

impl Users {
    /// Adds the names of one `user=`, separated by commas; `*` stands for any user.
    pub(super) fn add(&mut self, value: &str) -> Result<(), LineError> {
        for name in value.split(',') {
            if name == "*" {
                self.any = true;
            } else if is_name(name) {
                self.named.push(name.to_owned());
            } else {
                return Err(LineError::Value {
                    option: "user",
                    value: value.to_owned(),
                    want: "names of users separated by commas, or * for any",
                });
            }
        }
        Ok(())
    }

    /// Returns the user that a command runs as: the one `asked` for, else the first named one, else
    /// `own`, the user who runs the agent. `None` if the line does not allow the user asked for.
    #[must_use]
    pub fn choose<'a>(&'a self, asked: Option<&'a str>, own: &'a str) -> Option<&'a str> {
        match (asked, self.named.first()) {
            (None, Some(first)) => Some(first),
            (None, None) => Some(own),
            (Some(asked), _) => {
                let named = self.named.iter().any(|name| name == asked);
                let own = self.named.is_empty() && asked == own;
                (named || self.any || own).then_some(asked)
            }
        }
    }

    /// Returns the users that the line names. The first is the default.
    #[must_use]
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// Returns true if the key may run commands as any user.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.any
    }
}

/// Returns true for a user name as `useradd(8)` allows it, approximately: no character with a
/// meaning in a line.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte);
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(values: &[&str], asked: Option<&'static str>) -> Option<String> {
        let mut users = Users::default();
        for value in values {
            users.add(value).unwrap();
        }
        users.choose(asked, "root").map(str::to_owned)
    }

    #[test]
    fn a_command_runs_as_the_first_named_user_unless_another_allowed_one_is_asked_for() {
        for (values, asked, chosen) in [
            (&[][..], None, Some("root")),
            (&[], Some("root"), Some("root")),
            (&[], Some("ann"), None),
            (&["ann"], None, Some("ann")),
            (&["ann"], Some("ann"), Some("ann")),
            (&["ann"], Some("root"), None),
            (&["ann,bob"], None, Some("ann")),
            (&["ann", "bob"], Some("bob"), Some("bob")),
            (&["*"], None, Some("root")),
            (&["*"], Some("ann"), Some("ann")),
            (&["*,ann"], None, Some("ann")),
            (&["ann,*"], Some("root"), Some("root")),
        ] {
            assert_eq!(
                choose(values, asked).as_deref(),
                chosen,
                "{values:?} {asked:?}"
            );
        }
    }
}
