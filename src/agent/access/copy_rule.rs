//! Rule of `copy=`: a directory beneath which a key may read or write files.
//!
//! Not its enforcement, which is in the process that copies. Invariant: the directory is an absolute path without `.` and
//! `..`, or every directory.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::message::CopyWork;

/// Direction of a copy, as seen from the agent's host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Read,
    Write,
    Both,
}

/// Rule of `copy=`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyRule {
    access: Access,
    /// The directory; `None` for every one.
    beneath: Option<PathBuf>,
}

/// Form of a rule, for errors.
pub const COPY_WANT: &str =
    "an absolute directory or *, with read: or write: before it for one direction";

impl CopyRule {
    /// Parses the value of `copy=`.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (access, path) = if let Some(path) = value.strip_prefix("read:") {
            (Access::Read, path)
        } else if let Some(path) = value.strip_prefix("write:") {
            (Access::Write, path)
        } else {
            (Access::Both, value)
        };
        if path == "*" {
            let beneath = None;
            return Some(Self { access, beneath });
        }
        let is_plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
        let path = Path::new(path);
        if !path.is_absolute() || !path.components().all(is_plain) {
            return None;
        }
        Some(Self {
            access,
            beneath: Some(path.components().collect()),
        })
    }

    /// Returns the directory of the rule; `None` for every one.
    #[must_use]
    pub fn beneath(&self) -> Option<&Path> {
        self.beneath.as_deref()
    }

    /// Returns the directory that the rule allows a copy beneath; the inner `None` is every directory.
    const fn allows(&self, work: &CopyWork) -> Option<&Option<PathBuf>> {
        match (self.access, work) {
            (Access::Both, _)
            | (Access::Read, CopyWork::Read { .. })
            | (Access::Write, CopyWork::Write { .. }) => Some(&self.beneath),
            (Access::Read, CopyWork::Write { .. }) | (Access::Write, CopyWork::Read { .. }) => None,
        }
    }
}

impl fmt::Display for CopyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.access {
            Access::Read => "read:",
            Access::Write => "write:",
            Access::Both => "",
        })?;
        match &self.beneath {
            None => f.write_str("*"),
            Some(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Directories beneath which a copy may read or write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyGrant {
    /// Every directory.
    Everywhere,
    /// These.
    Beneath(Vec<PathBuf>),
}

impl CopyGrant {
    /// Returns true if everything that `other` allows is allowed.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everywhere, _) => true,
            (Self::Beneath(_), Self::Everywhere) => false,
            (Self::Beneath(roots), Self::Beneath(others)) => others
                .iter()
                .all(|other| roots.iter().any(|root| other.starts_with(root))),
        }
    }
}

/// Returns where rules allow a copy; `None` if they do not.
pub fn granted(rules: &[CopyRule], work: &CopyWork) -> Option<CopyGrant> {
    let allowed: Vec<_> = rules.iter().filter_map(|rule| rule.allows(work)).collect();
    if allowed.iter().any(|beneath| beneath.is_none()) {
        return Some(CopyGrant::Everywhere);
    }
    let paths: Vec<_> = allowed.into_iter().flatten().cloned().collect();
    (!paths.is_empty()).then_some(CopyGrant::Beneath(paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works() -> [CopyWork; 2] {
        let read = CopyWork::Read {
            from: vec!["/x".into()],
            recursive: false,
        };
        let write = CopyWork::Write {
            to: "/x".into(),
            directory: false,
            preserve: false,
        };
        [read, write]
    }

    #[test]
    fn rules_are_parsed_and_written_again() {
        for (value, shown) in [
            ("*", "*"),
            ("/srv/in/", "/srv/in"),
            ("read:/var/log", "read:/var/log"),
            ("write:*", "write:*"),
            ("/", "/"),
            ("/a//b/./c", "/a/b/c"),
        ] {
            let rule = CopyRule::parse(value).unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(CopyRule::parse(shown), Some(rule));
        }
        for value in ["", "srv", "~/in", "/srv/../etc", "append:/srv", "read:"] {
            assert_eq!(CopyRule::parse(value), None, "{value}");
        }
    }

    #[test]
    fn a_rule_allows_its_direction_alone() {
        let of = |rules: &[&str]| {
            let rules: Vec<_> = rules
                .iter()
                .map(|rule| CopyRule::parse(rule).unwrap())
                .collect();
            works().map(|work| granted(&rules, &work))
        };
        let beneath = |paths: &[&str]| {
            let paths = paths.iter().map(PathBuf::from).collect();
            Some(CopyGrant::Beneath(paths))
        };
        assert_eq!(of(&[]), [None, None]);
        assert_eq!(of(&["read:/a"]), [beneath(&["/a"]), None]);
        let rules = ["read:/a", "write:/b", "/c"];
        assert_eq!(of(&rules), [beneath(&["/a", "/c"]), beneath(&["/b", "/c"])]);
        let everywhere = Some(CopyGrant::Everywhere);
        assert_eq!(of(&["read:*", "write:/b"]), [everywhere, beneath(&["/b"])]);
    }
}
