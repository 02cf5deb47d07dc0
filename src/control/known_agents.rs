//! Whose agents are trusted: the file `known_agents`, and the agent of the own user.
//!
//! A line is `HOST:PORT KEY [NAME]`. No trust on first use: a target that is not listed and not the own
//! user's has no key, and nothing is sent to it. Invariant: a pinned key is never replaced unasked.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::crypto::PublicKey;
use crate::home::FileError;
use crate::net::Target;

/// The file, as read.
#[derive(Clone, Debug)]
pub struct KnownAgents {
    path: PathBuf,
}

/// A key, and why it is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The agent's key.
    pub key: PublicKey,
    /// Where that is written, for messages.
    pub source: Source,
}

/// What says whose key it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A line of `known_agents`.
    Line(PathBuf, usize),
    /// The public key file of the own user's agent.
    SameUser(PathBuf),
}

/// What to do about another key for a target that has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnChange {
    /// Refuse.
    Refuse,
    /// Replace it: the user has said so.
    Replace,
}

/// What adding a key did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// It is new.
    New,
    /// It was there.
    Already,
    /// It took another's place.
    Replaced,
}

/// Why a key could not be found or entered.
#[derive(Debug)]
pub enum TrustError {
    /// The file could not be used.
    File(FileError),
    /// No key is known for this target.
    Unknown(Target),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for TrustError {}

impl KnownAgents {
    /// Reads the file; a missing one is empty. Lines that cannot be understood are kept as errors of
    /// the targets they name.
    ///
    /// # Errors
    /// When it cannot be read, or others may write it.
    pub fn load(path: &Path) -> Result<Self, TrustError> {
        todo!()
    }

    /// The key that the agent at `target` must have. `addresses` is what the target resolved to: where
    /// all of them are loopback addresses, the key in `own_agent` (the `identity.pub` of the same
    /// user's agent) is good too. An entry in the file comes first.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn lookup(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        own_agent: Option<&Path>,
    ) -> Result<Pin, TrustError> {
        todo!()
    }
}

/// Enters a key for a target, atomically and under a lock; comments and other lines stay.
///
/// # Errors
/// When the target has another key and `on_change` says refuse, or the file cannot be changed.
pub fn add(
    path: &Path,
    target: &Target,
    key: &PublicKey,
    on_change: OnChange,
) -> Result<Added, TrustError> {
    todo!()
}
