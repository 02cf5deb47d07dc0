//! User accounts of this system.
//!
//! Not authentication, and not the conditions of a login (`login`). Invariant: the user who runs the program
//! always has an account.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::child::user_database::{self, Passwd};

pub(super) const ROOT: u32 = 0;

/// Reason why nothing can run as a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountError {
    /// The user database does not have the name.
    NoSuchUser,
    /// The program runs as another user, and not as root.
    NotRoot,
    /// The password is locked: it begins with `!`, usermod(8).
    Locked,
    /// The account has expired, shadow(5).
    Expired,
    /// Users other than root cannot log in at present, nologin(5).
    NoLogins,
    /// The shell does not exist or is not executable.
    NoShell,
}

impl AccountError {
    /// All reasons.
    pub(super) const ALL: [Self; 6] = [
        Self::NoSuchUser,
        Self::NotRoot,
        Self::Locked,
        Self::Expired,
        Self::NoLogins,
        Self::NoShell,
    ];
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchUser => "there is no such user",
            Self::NotRoot => "only an agent that runs as root can run commands as another user",
            Self::Locked => "the account is locked",
            Self::Expired => "the account has expired",
            Self::NoLogins => "logins are disabled by /etc/nologin or /run/nologin",
            Self::NoShell => "its shell does not exist or is not executable",
        })
    }
}

impl std::error::Error for AccountError {}

/// The properties of a user that a job needs.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// Login name.
    pub name: OsString,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

impl Account {
    /// Returns the account of the effective user. If the user database does not have one (a container), it
    /// consists of USER, HOME and SHELL, or else of the uid, `/` and `/bin/sh`.
    ///
    /// Queries the user database, which may block: call it when the program starts.
    #[must_use]
    pub fn current() -> Self {
        let found = user_database::by_uid(geteuid().as_raw()).ok().flatten();
        found.map_or_else(Self::from_environment, Self::from)
    }

    /// Returns the account of a user, or `None` if the user database does not have it. The query may block.
    ///
    /// # Errors
    /// The user database cannot be read.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        let name = CString::new(name)?;
        Ok(user_database::by_name(&name)?.map(Self::from))
    }

    /// True for root.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.uid == ROOT
    }

    fn from_environment() -> Self {
        let uid = geteuid().as_raw();
        Self {
            name: variable("USER").unwrap_or_else(|| uid.to_string().into()),
            uid,
            gid: getegid().as_raw(),
            home: absolute_or(variable("HOME").unwrap_or_default(), "/"),
            shell: absolute_or(variable("SHELL").unwrap_or_default(), "/bin/sh"),
        }
    }

    /// Checks that a program run by this account could change to the user `name`, if that user exists: to any
    /// for root, else only to its own.
    ///
    /// # Errors
    /// [`AccountError::NotRoot`]
    pub fn may_become(&self, name: &str) -> Result<(), AccountError> {
        if self.name == name || self.uid == ROOT {
            Ok(())
        } else {
            Err(AccountError::NotRoot)
        }
    }
}

impl From<Passwd> for Account {
    fn from(entry: Passwd) -> Self {
        Self {
            name: OsString::from_vec(entry.name),
            uid: entry.uid,
            gid: entry.gid,
            home: absolute_or(OsStr::from_bytes(&entry.home), "/"),
            shell: absolute_or(OsStr::from_bytes(&entry.shell), "/bin/sh"),
        }
    }
}

/// The user that a process runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum User {
    /// The user of the agent, whose ids are kept.
    Own(Account),
    /// The user of this name, looked up by the child, with all of the user's groups. Needs root.
    Named(String),
}

impl User {
    /// Returns the user `name` for a program that runs as `own`.
    #[must_use]
    pub fn new(own: &Account, name: &str) -> Self {
        if own.name == name {
            Self::Own(own.clone())
        } else {
            Self::Named(name.to_owned())
        }
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the path, or the default for an empty field (`passwd(5)`) or a relative path.
fn absolute_or(path: impl AsRef<Path>, default: &str) -> PathBuf {
    let path = path.as_ref();
    if path.is_absolute() {
        path
    } else {
        Path::new(default)
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_relative_field_has_the_default_of_passwd() {
        let entry = Passwd {
            name: b"ann".to_vec(),
            password: b"x".to_vec(),
            uid: 1000,
            gid: 100,
            home: b"/home/\xff".to_vec(),
            shell: Vec::new(),
        };
        let ann = Account::from(entry.clone());
        assert_eq!(ann.home.as_os_str().as_bytes(), b"/home/\xff");
        assert_eq!(ann.shell, Path::new("/bin/sh"), "empty means the default");
        let relative = Account::from(Passwd {
            home: b"home".to_vec(),
            ..entry
        });
        assert_eq!(relative.home, Path::new("/"));
    }

    #[test]
    fn only_root_can_change_to_another_user() {
        let current = Account::current();
        let ann = Account {
            name: "ann".into(),
            uid: 1000,
            ..current.clone()
        };
        assert_eq!(ann.may_become("ann"), Ok(()));
        assert_eq!(ann.may_become("root"), Err(AccountError::NotRoot));
        let root = Account {
            name: "root".into(),
            uid: ROOT,
            ..current
        };
        assert_eq!(root.may_become("no such"), Ok(()), "the child finds out");
        assert_eq!(User::new(&root, "root"), User::Own(root.clone()));
        assert_eq!(User::new(&root, "ann"), User::Named("ann".into()));
    }

    #[test]
    fn a_user_is_found_by_name_or_does_not_exist() {
        let root = Account::named("root").unwrap().unwrap();
        assert!(root.is_root());
        assert_eq!(Account::named("no such user").unwrap(), None);
        assert!(Account::named("ro\0ot").is_err());
    }

    #[test]
    fn the_current_user_always_has_an_account() {
        let account = Account::current();
        assert_eq!(account.uid, geteuid().as_raw());
        assert!(account.home.is_absolute() && account.shell.is_absolute());
        assert!(!account.name.is_empty());
    }
}
