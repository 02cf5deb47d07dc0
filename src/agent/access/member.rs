//! A member: a key with its name and options.

use std::path::PathBuf;

use super::Options;
use crate::crypto::PublicKey;

/// Name of the controller key of the agent's own user.
pub const SAME_USER: &str = "owner";

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
