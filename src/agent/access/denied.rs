//! Reasons for a denial, of a session or of a command.

use std::fmt;
use std::net::IpAddr;

use crate::escape;
use crate::message::Cause;
use crate::message::limits::NAME;
use crate::process::{AccountError, RefusedVariable};

/// Reason why a session or a command is not authorised. It is logged at the agent; the peer receives only `denied`, and
/// [`Denied::kind`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    /// No valid line lists the key, and it has shown no open invitation.
    NotListed,
    /// A change of the files could not be read.
    Suspended,
    /// The key has shown no open invitation.
    NotInvited,
    /// The command cannot be recorded, and a record is required.
    Unrecorded,
    /// `expires=` has passed.
    Expired,
    /// `from=` does not contain this address; a peer without an IP address is in no network.
    Address(Option<IpAddr>),
    /// Commands are switched off for all keys.
    ExecOff,
    /// The key has no `admin`.
    NotAdmin,
    /// `chat-only`.
    ChatOnly,
    /// No `allow=` matches argv.
    Command,
    /// The request names a user that no `user=` allows.
    User,
    /// The request sets variables, and the key has `allow=`.
    Variables,
    /// The request sets the working directory, and the key has `allow=`.
    Directory,
    /// The request asks for a terminal, and the key has `allow=`.
    Terminal,
    /// The request has a script, and the key has `allow=`.
    Script,
    /// Files are to be copied from the host, and the key has `allow=`, `chat-only` or `copy=` and no rule for it.
    CopyFrom,
    /// Files are to be copied to the host, and the same.
    CopyTo,
    /// A path of a copy lies beneath no directory of `copy=`.
    CopyPath,
    /// No `forward=` names the destination of a connection.
    Destination,
    /// A connection is to be forwarded, and the key has `allow=` and no `forward=`.
    Forward,
    /// A connection is to be forwarded as another user than the agent's own, and the key has no `forward=`.
    ForwardUser,
    /// The request sets a variable that no request may set.
    Variable(RefusedVariable),
    /// The agent cannot run commands as this user.
    Account(String, AccountError),
}

impl Denied {
    /// Returns what the peer is told besides `denied`: the kind of request that its key may not make. Each was decided
    /// before the command was compared with `allow=`, so that it tells nothing about the commands and users that the key
    /// has. Of a copy, it tells the direction, which was decided without a path; of a connection, the same whether the key
    /// may forward none or others.
    #[must_use]
    pub const fn kind(&self) -> Option<Cause> {
        match self {
            Self::User => Some(Cause::User),
            Self::Variables => Some(Cause::Variables),
            Self::Directory => Some(Cause::Directory),
            Self::Terminal => Some(Cause::Terminal),
            Self::Script => Some(Cause::Script),
            Self::CopyFrom => Some(Cause::CopyFrom),
            Self::CopyTo => Some(Cause::CopyTo),
            Self::Destination | Self::Forward | Self::ForwardUser => Some(Cause::Forward),
            Self::NotListed
            | Self::Suspended
            | Self::NotInvited
            | Self::Unrecorded
            | Self::Expired
            | Self::Address(_)
            | Self::ExecOff
            | Self::NotAdmin
            | Self::ChatOnly
            | Self::Command
            | Self::CopyPath
            | Self::Variable(_)
            | Self::Account(..) => None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotListed => "no valid line has this key or name",
            Self::Suspended => "authorized_keys may have changed and cannot be read",
            Self::NotInvited => "the invitation was used, has expired, or never existed",
            Self::Unrecorded => "its audit record cannot be written",
            Self::Expired => "expires= has passed",
            Self::Address(Some(from)) => return write!(f, "from= does not let {from} connect"),
            Self::Address(None) => "from= does not let a peer without an IP address connect",
            Self::ExecOff => "exec = false: this agent runs no commands",
            Self::NotAdmin => "this key has no admin: it may not use the owner's tools",
            Self::ChatOnly => "chat-only: this key runs no commands",
            Self::Command => "no allow= matches the command",
            Self::User => "user= does not name that user",
            Self::Variables => "a key with allow= cannot set variables",
            Self::Directory => "a key with allow= cannot set the working directory",
            Self::Terminal => "a key with allow= cannot use a terminal",
            Self::Script => "a key with allow= cannot run a script",
            Self::CopyFrom => {
                "a key with allow=, chat-only or copy= copies from here only by copy= with DIR or read:DIR"
            }
            Self::CopyTo => {
                "a key with allow=, chat-only or copy= copies to here only by copy= with DIR or write:DIR"
            }
            Self::CopyPath => "a path of the copy is beneath no directory of copy=",
            Self::Destination => "no forward= names the destination",
            Self::Forward => "a key with allow= cannot forward connections without forward=",
            Self::ForwardUser => {
                "only the agent's own user may forward connections without forward="
            }
            Self::Variable(refused) => return refused.fmt(f),
            Self::Account(user, unreachable) => {
                let user = escape::line(user.as_bytes(), NAME);
                return write!(f, "as {user}: {unreachable}");
            }
        })
    }
}

impl std::error::Error for Denied {}
