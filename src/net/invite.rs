//! An invitation as text: where the agent is, whose key it must show, and the token that admits once.
//!
//! `HOST:PORT#KEY#TOKEN`, printed by `udpagent invite` inside a command to paste. Here because an agent
//! prints it and a controller reads it. Not a file format.

use std::fmt;
use std::str::FromStr;

use super::Target;
use crate::crypto::{InviteToken, PublicKey};

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Where the agent is.
    pub target: Target,
    /// Its key.
    pub agent: PublicKey,
    /// What admits the bearer's key.
    pub token: InviteToken,
}

/// Text that is no invitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseInviteTextError {
    /// Not of the form `HOST:PORT#KEY#TOKEN`.
    Form,
}

impl Invite {
    /// The command to paste at the controller: `udpctl accept 'HOST:PORT#KEY#TOKEN'`.
    #[must_use]
    pub fn command(&self) -> String {
        todo!()
    }
}

/// The bare text `HOST:PORT#KEY#TOKEN`.
impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

/// Takes the bare text, the whole command with or without its quotes, and several lines (what `ssh`
/// brought) of which exactly one is an invitation.
impl FromStr for Invite {
    type Err = ParseInviteTextError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}
