//! As whom the commands of a key run: `user=` in a line of `authorized_keys`.
//!
//! Not whether such a user exists, nor whether the agent could become them. Invariant: a key runs as the
//! agent's own user, or as one that its line names.

use super::LineError;

/// The users that a line names. By default it names none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Users {
    named: Vec<String>,
    any: bool,
}

impl Users {
    /// Adds the names of one `user=`, separated by commas; `*` is any user.
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

    /// As whom a command runs, of which a controller wants that it run as `asked`; `None`: it does not run.
    /// `own` is who runs the agent.
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

    /// Those that are named, the one that is taken unless asked otherwise first.
    #[must_use]
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// Whether it may be anybody.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.any
    }
}

/// As `useradd(8)` has it, more or less: nothing that has a meaning in a line.
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
    fn a_key_runs_as_the_first_that_its_line_names_or_as_another_if_asked() {
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
