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
    /// In an `exec` or `attach` call to a job with a terminal: its window has this size now. Not answered.
    Resize(Window),
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
    /// The program and its arguments, exactly. With `script`, the first is its name.
    pub argv: Vec<OsText>,
    /// The text of a script to run instead of a program that is there already: by the interpreter that its
    /// `#!` line names, else by `/bin/sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<OsText>,
    /// As whom to run it; `None`: whoever the key's commands run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With a terminal: the main lane is both its keyboard and its screen, and there is no stderr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
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
    /// began to forget, after that answers `unknown` or `expired` and starts nothing. A repeat says
    /// [`u64::MAX`] first, which starts nothing anywhere: the time on the way is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub age_ms: u64,
}

impl Exec {
    /// A program and its arguments, and nothing special about them.
    #[must_use]
    pub const fn new(id: RequestId, argv: Vec<OsText>) -> Self {
        Self {
            id,
            argv,
            script: None,
            user: None,
            terminal: None,
            env: Vec::new(),
            cwd: None,
            stdin: false,
            timeout_ms: None,
            lease_ms: None,
            on_disconnect: OnDisconnect::Kill,
            age_ms: 0,
        }
    }
}

/// A terminal for a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Terminal {
    /// What it understands: the variable TERM.
    pub term: String,
    /// Its size at first.
    #[serde(flatten)]
    pub window: Window,
}

/// The size of a terminal's window, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
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
