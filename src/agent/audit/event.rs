//! Events that are recorded, each with the members that only its record has.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use crate::message::{Cause, Exec, OsText, Outcome, Service};

/// A recorded event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Event<'a> {
    /// The request was accepted and will be started.
    Accepted(Command<'a>),
    /// The process was started.
    Started {
        /// Process id.
        pid: i32,
    },
    /// The command has ended.
    Ended {
        /// Outcome.
        outcome: Outcome,
        /// Reason why the agent ended it, if it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// Bytes of stdout.
        stdout: u64,
        /// Bytes of stderr.
        stderr: u64,
    },
    /// The request was denied.
    Denied {
        /// Outcome that the controller receives.
        outcome: Outcome,
        /// Reason, if the policy denies it. The controller does not receive it.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The command asked for; `None` if the request was for something else.
        #[serde(flatten)]
        command: Option<Command<'a>>,
    },
    /// A session was denied, and perhaps others before it.
    SessionDenied {
        /// Reason. The controller does not receive it.
        reason: String,
        /// Number of denials before this one that have no record.
        #[serde(skip_serializing_if = "is_zero")]
        left_out: u64,
    },
    /// A controller has attached to a job.
    Attached {},
    /// A controller has sent a signal to a job.
    Signaled {
        /// Number of the signal.
        signal: i32,
    },
    /// A controller has canceled a job.
    Canceled {},
    /// A key was listed by an invitation.
    Registered {},
    /// A key was added to the agent's files.
    KeyAdded {},
    /// A key was removed from the agent's files.
    KeyRemoved {},
    /// The name or the options of a key were changed in the agent's files.
    KeyChanged {},
    /// The agent's files were read again.
    Reloaded {
        /// Number of keys that may connect.
        keys: usize,
        /// Number of lines and files with errors.
        errors: usize,
    },
    /// The agent was started.
    AgentStarted {
        /// Version of the agent.
        version: &'static str,
        /// Process id of the agent.
        pid: u32,
        /// Addresses that it listens on.
        listening: Vec<String>,
        /// Number of keys that may connect.
        keys: usize,
    },
    /// The program of the agent was replaced while it runs.
    AgentReplaced {
        /// Version of the program that has taken over.
        version: &'static str,
        /// Process id of the agent, as before.
        pid: u32,
        /// Addresses that it listens on.
        listening: Vec<String>,
        /// Number of jobs that go on.
        jobs: usize,
    },
    /// The agent ends.
    AgentEnded {
        /// Number of commands that were accepted.
        commands: u64,
        /// Number of commands that were denied.
        denied: u64,
        /// Number of sessions that were opened.
        sessions: u64,
    },
    /// Records are missing in this place.
    Dropped {
        /// Number of missing records.
        records: u64,
    },
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The command of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Command<'a> {
    argv: &'a [OsText],
    /// Name of the built-in service that ran in the place of a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Script>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<&'a OsText>,
    /// Names only: values may be secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<&'a OsText>,
}

/// Identification of a script.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Script {
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: usize,
}

impl Script {
    fn of(text: &OsText) -> Self {
        let bytes = text.as_os_str().as_encoded_bytes();
        let mut sha256 = String::new();
        for byte in digest(&SHA256, bytes).as_ref() {
            let _ = write!(sha256, "{byte:02x}");
        }
        let bytes = bytes.len();
        Self { sha256, bytes }
    }
}

impl<'a> Command<'a> {
    /// Returns the command of a request. `user` is the user that it runs as, or asks for.
    #[must_use]
    pub fn of(exec: &'a Exec, user: Option<&'a str>) -> Self {
        Self {
            argv: &exec.argv,
            service: exec.service.as_ref().map(Service::name),
            script: exec.script.as_ref().map(Script::of),
            user,
            cwd: exec.cwd.as_ref(),
            env: exec.env.iter().map(|(name, _)| name).collect(),
        }
    }
}

impl Event<'_> {
    /// Returns the name of the event in the record.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Started { .. } => "started",
            Self::Ended { .. } => "ended",
            Self::Denied { .. } => "denied",
            Self::SessionDenied { .. } => "session_denied",
            Self::Attached {} => "attached",
            Self::Signaled { .. } => "signaled",
            Self::Canceled {} => "canceled",
            Self::Registered {} => "registered",
            Self::KeyAdded {} => "key_added",
            Self::KeyRemoved {} => "key_removed",
            Self::KeyChanged {} => "key_changed",
            Self::Reloaded { .. } => "reloaded",
            Self::AgentStarted { .. } => "agent_started",
            Self::AgentReplaced { .. } => "agent_replaced",
            Self::AgentEnded { .. } => "agent_ended",
            Self::Dropped { .. } => "dropped",
        }
    }
}
