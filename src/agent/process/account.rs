//! A user of this system, as `/etc/passwd` has it.
//!
//! Not who may log in. Invariant: there is always an answer for the user who runs us.

use std::ffi::OsString;
use std::path::PathBuf;

/// A line of `/etc/passwd`, as far as a job needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Login name.
    pub name: OsString,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

impl Account {
    /// Who runs this program (the effective user). Without a line in `/etc/passwd` (a directory service, a
    /// container): what HOME, USER and SHELL say, else `/`, the number and `/bin/sh`.
    #[must_use]
    pub fn current() -> Self {
        todo!()
    }

    /// The account with this name, if `/etc/passwd` has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let _ = name;
        todo!()
    }
}
