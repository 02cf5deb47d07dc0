//! Open invitations: the file `invites`, and what happens when one is used.
//!
//! A record holds the hash of the token, never the token. Invariant: an invitation works once, also
//! between processes: it is struck off before the key is entered, both under one lock.

use std::fmt;

use super::{Member, Options};
use crate::crypto::{InviteToken, PublicKey};
use crate::home::{AgentHome, FileError};
use crate::rng::Rng;

/// How long an invitation is open, in seconds.
pub const LIFETIME: u64 = 600;

/// An open invitation.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) expires: u64,
    pub(super) options: Options,
}

/// Why an invitation could not be used.
#[derive(Debug)]
pub enum RedeemError {
    /// No open invitation has this token: never made, used, or out of time.
    NoSuchInvite,
    /// The files could not be changed.
    File(FileError),
}

impl fmt::Display for RedeemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for RedeemError {}

/// Opens an invitation: writes its record and returns the token. `options` is option text as in
/// `authorized_keys` (words, already split), which the invited key will be entered with.
///
/// # Errors
/// When an option is wrong or the file cannot be written.
pub fn create(
    home: &AgentHome,
    options: &[String],
    rng: &mut Rng,
    now_unix: u64,
) -> Result<InviteToken, CreateError> {
    todo!()
}

/// Why no invitation could be made.
#[derive(Debug)]
pub enum CreateError {
    /// An option is wrong.
    Option(super::LineError),
    /// The file could not be changed.
    File(FileError),
}

/// Uses an invitation up and enters the key into `authorized_keys`, under a name made from what the
/// peer wished for. A key that is listed already is left as it is, and the invitation open. The caller
/// reloads [`Access`](super::Access) afterwards, before it answers.
///
/// # Errors
/// [`RedeemError`]
pub fn redeem(
    home: &AgentHome,
    key: &PublicKey,
    wished_name: &str,
    token: &InviteToken,
    now_unix: u64,
) -> Result<Member, RedeemError> {
    todo!()
}
