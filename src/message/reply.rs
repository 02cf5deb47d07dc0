//! What an agent answers on a call's control lane.

use serde::{Deserialize, Serialize};

use super::{OsText, Outcome, RequestId};

/// A line from the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The request is in the register and will be started once.
    Accepted {
        /// The job.
        id: RequestId,
        /// Offset of the first stdout byte that follows.
        stdout: u64,
        /// Offset of the first stderr byte that follows. Above the one asked for: what lies between
        /// is no longer held.
        stderr: u64,
        /// Offset in stdin that the main lane of an `attach` call is to begin with: what the job has
        /// taken so far. An `exec` call's main lane always begins at 0, and what was taken is skipped.
        #[serde(default)]
        stdin: u64,
        /// The job has a terminal.
        #[serde(default, skip_serializing_if = "is_false")]
        terminal: bool,
        /// What its terminal shows, as bytes that paint it, where the stdout that follows does not begin
        /// at the byte asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        screen: Option<OsText>,
    },
    /// The process runs.
    Started {
        /// Its process id.
        pid: i32,
    },
    /// It is over. The result is whole once every byte below the two lengths is there.
    Exit {
        /// How.
        outcome: Outcome,
        /// Final length of stdout, in bytes.
        stdout: u64,
        /// Final length of stderr, in bytes.
        stderr: u64,
        /// Something still held stdout or stderr open when reading ended.
        #[serde(default)]
        streams_open: bool,
        /// Why the agent ended it, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// Answer to `jobs`.
    Jobs {
        /// This key's jobs, oldest first.
        jobs: Vec<JobView>,
    },
    /// Answer to `ping`.
    Pong {
        /// The agent's name.
        name: String,
        /// The agent's version.
        version: String,
    },
    /// Answer to `register`: the key is entered under this name.
    Registered {
        /// As the agent calls this controller from now on.
        name: String,
        /// The agent's own name.
        agent: String,
    },
    /// Answer to `chat`: you are in, under this name.
    Joined {
        /// As the others see you.
        name: String,
        /// Who else is there.
        members: Vec<String>,
    },
    /// A message from another member.
    Said {
        /// Who.
        from: String,
        /// What.
        text: String,
        /// The sender is not authenticated: a plain-text peer, named by address.
        #[serde(default)]
        unverified: bool,
    },
    /// Someone came.
    Came {
        /// Who.
        name: String,
    },
    /// Someone left.
    Left {
        /// Who.
        name: String,
    },
    /// Receipt: the agent has message `number`.
    Delivered {
        /// As in `say`.
        number: u64,
        /// Members it was passed on to.
        members: u32,
    },
    /// So many messages were not passed on to you, because you read too slowly.
    Missed {
        /// How many.
        messages: u64,
    },
    /// The key may not do this.
    Denied {},
    /// The signal was sent, the job canceled.
    Done {},
    /// No such job.
    NoJob {},
    /// The request is not understood, or not allowed at this place.
    Unsupported {
        /// What is wrong with it.
        reason: String,
    },
}

/// Why an agent has ended a job, or lets go of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A controller asked for it.
    Requested,
    /// Its own deadline passed.
    Timeout,
    /// The agent's limit on how long a command may run.
    Runtime,
    /// The agent's limit on how much a command may write.
    Output,
    /// Its controller was silent for longer than the lease.
    Lease,
    /// Its key was removed, or expired.
    Revoked,
    /// The agent was shut down.
    Shutdown,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl Cause {
    /// In a few words, as they stand behind an outcome.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Requested => "on request",
            Self::Timeout => "the time given with --timeout has passed",
            Self::Runtime => "the agent lets no command run for longer",
            Self::Output => "the agent lets no command write more",
            Self::Lease => "its controller was silent for longer than the lease",
            Self::Revoked => "its key is no longer let in",
            Self::Shutdown => "the agent was shut down",
            Self::Other => "for a reason that this version does not know",
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A job, as `udpctl jobs` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub id: RequestId,
    /// What runs.
    pub argv: Vec<OsText>,
    /// Since when, in milliseconds before now.
    pub age_ms: u64,
    /// Where it is.
    pub state: JobState,
    /// Bytes of stdout so far.
    pub stdout: u64,
    /// Bytes of stderr so far.
    pub stderr: u64,
}

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It runs.
    Running {},
    /// It is over.
    Ended(Outcome),
}
