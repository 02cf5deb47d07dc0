//! Request to copy files: a job whose standard streams speak the copy protocol.
//!
//! Not that protocol, nor the check of what a key may do.

use serde::{Deserialize, Serialize};

use super::{OsText, RequestId};

/// Request to copy files between the agent's host and the controller. The data lanes carry the copy protocol, both ways.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopyFiles {
    /// Request id. The same id never copies twice.
    pub id: RequestId,
    /// Side of the agent.
    pub work: CopyWork,
    /// Name of the user on the agent's host whose rights to files apply. Default: the user whom the key's commands run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Time in milliseconds after which the agent ends the copy, as in `exec`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Lease in milliseconds, as in `exec`: the copy is ended when the controller was silent for longer. Default: 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Age of the request in milliseconds, as in `exec`. Default: 0, a first request.
    #[serde(default, skip_serializing_if = "super::request::is_zero")]
    pub age_ms: u64,
}

/// Side of the agent in a copy. Relative paths begin in the user's home directory. All members are written, as binary formats
/// have no names.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyWork {
    /// The agent writes what the controller sends.
    Write {
        /// Directory to write to, or the new name of the only item.
        to: OsText,
        /// True if `to` has to be a directory that is there. Default: false.
        #[serde(default)]
        directory: bool,
        /// True if permissions and times of change are kept. Default: false.
        #[serde(default)]
        preserve: bool,
    },
    /// The agent sends what it reads.
    Read {
        /// Files and directories to send.
        from: Vec<OsText>,
        /// True if directories are sent, with all that is in them. Default: false.
        #[serde(default)]
        recursive: bool,
    },
}

impl CopyWork {
    /// Returns the words that stand for the work in lists of jobs and in the audit.
    #[must_use]
    pub fn words(&self) -> Vec<OsText> {
        match self {
            Self::Write { to, .. } => vec!["write".into(), to.clone()],
            Self::Read { from, .. } => {
                let verb = std::iter::once("read".into());
                verb.chain(from.iter().cloned()).collect()
            }
        }
    }
}
