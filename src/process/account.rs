//! User accounts of this system, from `/etc/passwd` and `/etc/group`.
//!
//! Not authentication. Invariant: the user who runs the program always has an account.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::limits;

const ROOT: u32 = 0;

/// Reason why nothing can run as a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountError {
    /// `/etc/passwd` does not have the name.
    NoSuchUser,
    /// The program runs as another user, and not as root.
    NotRoot,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchUser => "there is no such user in /etc/passwd",
            Self::NotRoot => "only an agent that runs as root can run commands as another user",
        })
    }
}

impl std::error::Error for AccountError {}

/// The fields of a line of `/etc/passwd` that a job needs.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Returns the account of the effective user. Without a line in `/etc/passwd` (a directory service, a
    /// container) it consists of USER, HOME and SHELL, or else of the uid, `/` and `/bin/sh`.
    #[must_use]
    pub fn current() -> Self {
        let uid = geteuid().as_raw();
        find(&passwd(), |account| account.uid == uid).unwrap_or_else(|| Self {
            name: variable("USER").unwrap_or_else(|| uid.to_string().into()),
            uid,
            gid: getegid().as_raw(),
            home: absolute_or(variable("HOME").unwrap_or_default(), "/"),
            shell: absolute_or(variable("SHELL").unwrap_or_default(), "/bin/sh"),
        })
    }

    /// Returns the account with this name, if `/etc/passwd` has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        find(&passwd(), |account| account.name == name)
    }

    /// Returns the account `name` if a program run by this account can change to it: any account for root, else
    /// only its own.
    ///
    /// # Errors
    /// [`AccountError`]
    pub fn reach(&self, name: &str) -> Result<Self, AccountError> {
        if self.name == name {
            return Ok(self.clone());
        }
        let account = Self::named(name).ok_or(AccountError::NoSuchUser)?;
        match self.uid {
            ROOT => Ok(account),
            _ => Err(AccountError::NotRoot),
        }
    }

    /// Returns the primary group, then the groups that `/etc/group` lists for the user.
    #[must_use]
    pub fn groups(&self) -> Vec<u32> {
        groups_of(self, &read_database("/etc/group"))
    }

    /// Parses `name:password:uid:gid:comment:home:shell` (`passwd(5)`).
    fn parse(line: &[u8]) -> Option<Self> {
        let fields: Vec<&OsStr> = line
            .split(|&byte| byte == b':')
            .map(OsStr::from_bytes)
            .collect();
        let &[name, _, uid, gid, _, home, shell] = fields.as_slice() else {
            return None;
        };
        (!name.is_empty()).then_some(())?;
        Some(Self {
            name: name.to_owned(),
            uid: uid.to_str()?.parse().ok()?,
            gid: gid.to_str()?.parse().ok()?,
            home: absolute_or(home, "/"),
            shell: absolute_or(shell, "/bin/sh"),
        })
    }
}

fn passwd() -> Vec<u8> {
    read_database("/etc/passwd")
}

/// Reads a database. One that cannot be read counts as empty.
fn read_database(path: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = File::open(path).and_then(|file| file.take(limits::ACCOUNTS).read_to_end(&mut text));
    text
}

fn find(passwd: &[u8], wanted: impl Fn(&Account) -> bool) -> Option<Account> {
    let mut lines = passwd
        .split(|&byte| byte == b'\n')
        .filter_map(Account::parse);
    lines.find(wanted)
}

/// Searches lines of the form `name:password:gid:member,member` (`group(5)`).
fn groups_of(account: &Account, database: &[u8]) -> Vec<u32> {
    let mut groups = vec![account.gid];
    for line in database.split(|&byte| byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        let &[_, _, gid, members] = fields.as_slice() else {
            continue;
        };
        let mut members = members.split(|&byte| byte == b',');
        let gid = std::str::from_utf8(gid)
            .ok()
            .and_then(|gid| gid.parse().ok());
        if let Some(gid) = gid
            && members.any(|member| member == account.name.as_bytes())
            && !groups.contains(&gid)
        {
            groups.push(gid);
        }
    }
    groups.truncate(limits::GROUPS);
    groups
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

    const PASSWD: &[u8] = b"# comment\nroot:x:0:0:root:/root:/bin/bash\n\nbroken:x:y:0::/:\n+nis\n\
        ann:x:1000:100:Ann,,,:/home/\xff:\nlast:*:7:7:::/bin/false";

    #[test]
    fn an_account_is_found_among_comments_and_malformed_lines() {
        let ann = find(PASSWD, |account| account.uid == 1000).unwrap();
        assert_eq!(ann.name, "ann");
        assert_eq!(ann.gid, 100);
        assert_eq!(ann.home.as_os_str().as_bytes(), b"/home/\xff");
        assert_eq!(ann.shell, Path::new("/bin/sh"), "empty means the default");
        let last = find(PASSWD, |account| account.name == "last").unwrap();
        assert_eq!(last.home, Path::new("/"));
        assert!(find(PASSWD, |account| account.name == "broken").is_none());
        assert!(find(PASSWD, |account| account.name.is_empty()).is_none());
    }

    #[test]
    fn groups_are_the_primary_one_and_those_that_list_the_user() {
        let database =
            b"root:x:0:\nusers:x:100:ann\nadm:x:4:joann,ann\nx:x:5:anna\nbad:x:y:ann\nlp:x:7:ann,";
        let ann = find(PASSWD, |account| account.name == "ann").unwrap();
        assert_eq!(groups_of(&ann, database), [100, 4, 7]);
    }

    #[test]
    fn only_root_can_change_to_another_user() {
        let ann = find(PASSWD, |account| account.name == "ann").unwrap();
        assert_eq!(ann.reach("ann"), Ok(ann.clone()));
        assert_eq!(ann.reach("root"), Err(AccountError::NotRoot));
        let root = find(PASSWD, |account| account.uid == ROOT).unwrap();
        assert_eq!(root.reach("no such"), Err(AccountError::NoSuchUser));
        assert!(
            Account::named("root")
                .is_some_and(|account| root.reach("root").is_ok() && account.uid == 0)
        );
    }

    #[test]
    fn the_current_user_always_has_an_account() {
        let account = Account::current();
        assert_eq!(account.uid, geteuid().as_raw());
        assert!(account.home.is_absolute() && account.shell.is_absolute());
        assert!(!account.name.is_empty());
    }
}
