//! The options of a line in `authorized_keys` or `invites`.

use ipnet::IpNet;

use super::Pattern;

/// What holds a key back. The default is nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Options {
    /// Commands it may run; empty: any.
    pub allow: Vec<Pattern>,
    /// It may run none at all.
    pub chat_only: bool,
    /// The user that its commands may run as, for agents of root; `None`: the agent's own.
    pub user: Option<String>,
    /// Addresses it may come from; empty: any.
    pub from: Vec<IpNet>,
    /// Jobs it may have at a time; `None`: the agent's limit.
    pub max_jobs: Option<u32>,
    /// When it ends, in seconds since 1970.
    pub expires: Option<u64>,
}
