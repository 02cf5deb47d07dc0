//! What a controller asks: the first line of a call's control lane, and the lines that may follow.

use serde::{Deserialize, Serialize};

use super::{OsText, RequestId};

/// A line from the controller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Opens a call: run a command, or attach to it if this id with this request is known.
    Exec(Exec),
    /// Opens a call: attach to a job.
    Attach {
        /// The job.
        id: RequestId,
        /// First stdout byte wanted; `None`: the first that its last controller had not written out.
        stdout: Option<u64>,
        /// First stderr byte wanted; likewise.
        stderr: Option<u64>,
    },
    /// Opens a call: the jobs of this key, answered with one [`Reply::Jobs`](super::Reply::Jobs).
    Jobs {},
    /// Opens a call: how a job ended, answered with `exit` when it has.
    Wait {
        /// The job.
        id: RequestId,
    },
    /// Opens a call, or a line in an `exec` or `attach` call: send a signal to a job.
    Signal {
        /// The job.
        id: RequestId,
        /// Signal number.
        signal: i32,
    },
    /// In an `exec` or `attach` call: end the job (TERM, 5 s, KILL).
    Cancel {},
    /// Opens a call: who are you? Answered with `pong`.
    Ping {},
    /// Opens a call: become a member of the chat.
    Chat {
        /// The name wished for; the agent decides.
        name: Option<String>,
    },
    /// In a `chat` call, or opens a call for one message (`udpctl send`).
    Say {
        /// Counts up from 0 in the call; named by the receipt.
        number: u64,
        /// The message.
        text: String,
    },
    /// Opens a call, shown an invitation: enter my key.
    Register {
        /// The name wished for, e.g. `user@host`.
        name: String,
    },
}

/// A command to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exec {
    /// The request's id: the same id never starts twice.
    pub id: RequestId,
    /// The program and its arguments, exactly.
    pub argv: Vec<OsText>,
    /// Variables beside the clean environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(OsText, OsText)>,
    /// Where to run it; `None`: the user's home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<OsText>,
    /// Bytes will come on the main lane; otherwise stdin is /dev/null.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stdin: bool,
    /// The agent ends it after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The agent acts on a silent controller after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// What it then does.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// How long ago this request was first sent, when it is sent again: an agent that began, or
    /// began to forget, after that answers `unknown` or `expired` and starts nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub age_ms: u64,
}

/// What becomes of a job whose controller is gone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// It is ended when its lease runs out.
    #[default]
    Kill,
    /// It goes on; its output waits.
    Keep,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
