//! Somebody who is listed.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Options;
use crate::crypto::PublicKey;
use crate::message::Exec;

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
        todo!()
    }

    /// Whether this argv may run. Says nothing about time and place: those were checked at the door.
    #[must_use]
    pub fn may_run(&self, argv: &[std::ffi::OsString]) -> bool {
        todo!()
    }

    /// Whether this request may run. A key with `allow=` runs exactly its patterns in the home
    /// directory with the agent's environment: a variable such as PATH, or another folder, would
    /// give the same words another meaning.
    #[must_use]
    pub fn may_exec(&self, exec: &Exec) -> bool {
        todo!()
    }
}
