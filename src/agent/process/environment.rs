//! The environment of a job: six variables, and what was asked for, within reason.
//!
//! Invariant: nothing of the agent's own environment leaks into a job, and no variable that makes a
//! program run other code than was named is taken from a requester.

use std::ffi::{OsStr, OsString};
use std::fmt;

use super::Account;

/// Where programs are looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variable that marks every process of a job; its value is [`Spec::marker`](super::Spec::marker).
pub const MARKER: &str = "UDPAGENT_JOB";

/// PATH, HOME, USER, LOGNAME, SHELL and LANG for the account, then `extra`, which may replace them.
///
/// # Errors
/// The first name in `extra` that is refused; see [`RefusedVariable`].
pub fn clean_environment<N, V>(
    account: &Account,
    extra: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(OsString, OsString)>, RefusedVariable>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    let _ = (account, extra.into_iter().count());
    todo!()
}

/// A variable that may not be set by a requester.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedVariable {
    /// Its name.
    pub name: OsString,
}

impl fmt::Display for RefusedVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variable {:?} may not be set", self.name)
    }
}

impl std::error::Error for RefusedVariable {}
