//! Request for a command, or for attaching to a job.

use crate::crypto::PublicKey;
use crate::message::{Exec, RequestId};

/// Request to the agent.
#[derive(Clone, Debug)]
pub enum JobRequest {
    /// Run a command. A request with an age is preceded by a probe, which starts nothing.
    Exec(Exec),
    /// Attach to a job that is running or has ended.
    Attach {
        /// The job.
        id: RequestId,
        /// Offset of the first byte of stdout to send. `None`: that of the first byte that no controller has written.
        stdout: Option<u64>,
        /// The same for stderr.
        stderr: Option<u64>,
        /// Key of its owner, if it is another.
        key: Option<PublicKey>,
        /// True if input follows, should the job have a terminal.
        keyboard: bool,
    },
}

impl JobRequest {
    /// Returns the request id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        match self {
            Self::Exec(exec) => exec.id,
            Self::Attach { id, .. } => *id,
        }
    }
}
