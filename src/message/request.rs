//! Requests of a controller: the first line of a call's control lane, and the lines that may follow.
//!
//! Not the check of what a key may do, which is the agent's. A member is required unless its documentation
//! gives a default.

use serde::{Deserialize, Serialize};

use super::{CopyFiles, Forward, OsText, RequestId, RoomName, Service};
use crate::crypto::PublicKey;

/// Line from the controller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Opens a call: runs a command, or attaches to its job if the key has sent the same request under this id
    /// before.
    Exec(Exec),
    /// Opens a call: forwards a connection, as a job that is a built-in service of the agent. Answered as `exec`.
    Forward(Forward),
    /// Opens a call: copies files, as a job that is a built-in service of the agent. Answered as `exec`.
    Copy(CopyFiles),
    /// Opens a call: attaches to a job.
    Attach {
        /// Request id of the job.
        id: RequestId,
        /// Offset of the first stdout byte wanted, in bytes, below 2^62. Default: the first byte that the job's
        /// last controller had not written out.
        stdout: Option<u64>,
        /// The same for stderr.
        stderr: Option<u64>,
        /// Key of the job's owner, if it is another; only for an administrator. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<PublicKey>,
    },
    /// Opens a call: lists jobs. Answered with one [`Reply::Jobs`](super::Reply::Jobs).
    Jobs {
        /// True for the jobs of all keys; only for an administrator. Default: false, those of this key.
        #[serde(default, skip_serializing_if = "is_false")]
        all: bool,
    },
    /// Opens a call: waits for the end of a job. Answered with `exit` then.
    Wait {
        /// Request id of the job.
        id: RequestId,
        /// Key of the job's owner, as in `attach`. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<PublicKey>,
    },
    /// Opens a call, or is a line in an `exec` or `attach` call: sends a signal to a job. Answered with `done`,
    /// or with `no_job` if no such job runs.
    Signal {
        /// Request id of the job.
        id: RequestId,
        /// Signal number, 1 to [`MAX_SIGNAL`](super::signal::MAX_SIGNAL); any other is answered with `unsupported`.
        signal: i32,
        /// Key of the job's owner, as in `attach`. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<PublicKey>,
    },
    /// In an `exec` or `attach` call: ends the job (TERM, after 5 s KILL).
    Cancel {},
    /// In an `exec` or `attach` call to a job with a terminal: sets the size of its window. Not answered.
    Resize(Window),
    /// Opens a call: asks for the agent's name and version. Answered with `pong`.
    Ping {},
    /// Opens a call: joins a room of the chat. Answered with `joined`.
    Chat {
        /// Name wished for. The agent takes at most 32 letters, digits and `.`, `_`, `-`, `@` of it and puts the
        /// name of the key behind. Default: the name of the key.
        name: Option<String>,
        /// Number of earlier messages wanted, which follow `joined` as `said` with their age. Default: 0.
        #[serde(default, skip_serializing_if = "is_zero_u32")]
        history: u32,
        /// Name of the room, which is made if it does not exist. Default: none, the default room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
        /// Id of the membership, which the controller draws at random. A later `chat` of the same key with the same id
        /// continues the membership after a lost session: under its name, if that is free, and without saying a message
        /// twice that the history has. Default: none, a membership that cannot be continued.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// Position of the last message that this controller has seen, 0 if there was none: of the earlier messages only those behind it
        /// follow, after the number of those that are no longer kept (`missed`). Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        /// True if the controller shows `whispered`; only then it gets private messages. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        whispers: bool,
    },
    /// In a `chat` call, or opens a call for one message (`udpctl send`). Answered with `delivered`.
    Say {
        /// Number of the message, which its receipt repeats; counts up from 0 in a call.
        number: u64,
        /// The message, at most [`limits::CHAT_TEXT`](super::limits::CHAT_TEXT) bytes; a longer one is answered
        /// with `unsupported`.
        text: String,
        /// Name of the room, which must exist; in a `chat` call that of the call. Default: none, the default room, or the
        /// room of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
        /// True if it is the answer of a bot. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        bot: bool,
        /// True if the text describes an action of its author, as in `waves`; without effect with `bot`. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        action: bool,
    },
    /// In a `chat` call: a message for one member of the room, or for the agent's user. Answered with `delivered`.
    Whisper {
        /// Number of the message, counted together with those of `say`.
        number: u64,
        /// Name of the member in the room, or of the agent.
        to: String,
        /// The message, bounded as in `say`.
        text: String,
    },
    /// Opens a call in a session with an invitation: enters the controller's key. Answered with `registered`.
    Register {
        /// Name wished for, as in `user@host`. The agent takes at most 56 characters of it, replaces those that
        /// are not ASCII letters, digits or `-_.@+` by `_`, and adds a number to a name that is taken.
        name: String,
    },
}

impl Request {
    /// Returns true if the request may come as early data, which can be carried out twice: it changes nothing the second
    /// time, or an id protects it.
    #[must_use]
    pub const fn may_be_early(&self) -> bool {
        match self {
            Self::Exec(_)
            | Self::Forward(_)
            | Self::Copy(_)
            | Self::Attach { .. }
            | Self::Jobs { .. }
            | Self::Wait { .. }
            | Self::Cancel {}
            | Self::Resize(_)
            | Self::Ping {}
            | Self::Register { .. } => true,
            Self::Signal { .. } | Self::Chat { .. } | Self::Say { .. } | Self::Whisper { .. } => {
                false
            }
        }
    }
}

/// Command to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exec {
    /// Request id. The same id never starts a command twice.
    pub id: RequestId,
    /// The program and its arguments, byte for byte; an empty list is answered with `spawn_failed`. With `script`,
    /// the first word is the script's name.
    pub argv: Vec<OsText>,
    /// Text of a script, at most [`limits::SCRIPT`](super::limits::SCRIPT) bytes. The interpreter that its `#!`
    /// line names runs it, or else `/bin/sh`. Default: none, `argv` names a program on the agent's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<OsText>,
    /// Built-in service to run in the place of a program; `argv` is only shown then. Not a member of the request `exec`:
    /// each service has a request of its own, see [`Exec::into_request`].
    #[serde(skip)]
    pub service: Option<Service>,
    /// Name of the user on the agent's host whom the command runs as. Default: the user whom the key's commands
    /// run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Terminal for the command. The data lane then carries both its keyboard and its screen, and there is no
    /// stderr. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// Environment variables, as pairs of name and value, beside the clean environment. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(OsText, OsText)>,
    /// Working directory. Default: the user's home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<OsText>,
    /// True if bytes for stdin follow on the data lane. Default: false, stdin is /dev/null.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stdin: bool,
    /// Time in milliseconds after which the agent ends the command; more than 366 days counts as 366 days.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Lease in milliseconds: `on_disconnect` applies when the controller was silent for longer. From 1 s to
    /// 366 days; values outside count as the nearer end. Default: 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Action after the lease. Default: [`OnDisconnect::Kill`].
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// True to keep the result after it was collected, as long as one that was not: the user has chosen the id and may
    /// send the same request again. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retain: bool,
    /// Age of the request in milliseconds since it was made, or first sent. An agent that has started since then
    /// answers `unknown`, one that has begun to forget since then `expired`, and both start nothing. A repeat has
    /// the age [`u64::MAX`] first, which starts nothing on any agent: the time that a datagram takes is not known.
    /// Default: 0, a first request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub age_ms: u64,
}

impl Exec {
    /// Creates a request to run a program with its arguments; every other member has its default.
    #[must_use]
    pub const fn new(id: RequestId, argv: Vec<OsText>) -> Self {
        Self {
            id,
            argv,
            script: None,
            service: None,
            user: None,
            terminal: None,
            env: Vec::new(),
            cwd: None,
            stdin: false,
            timeout_ms: None,
            lease_ms: None,
            on_disconnect: OnDisconnect::Kill,
            retain: false,
            age_ms: 0,
        }
    }
}

/// Terminal of a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Terminal {
    /// Type of the terminal: the value of the variable TERM.
    pub term: String,
    /// Initial size of its window, as members `rows` and `columns` of the terminal itself.
    #[serde(flatten)]
    pub window: Window,
}

/// Size of a terminal's window in characters, 1 to [`limits::WINDOW`](super::limits::WINDOW) each way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Number of lines.
    pub rows: u16,
    /// Number of characters in a line.
    pub columns: u16,
}

/// Action on a job whose controller was silent for longer than the lease.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// End the job.
    #[default]
    Kill,
    /// Let the job run on; its output waits for a controller.
    Keep,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) const fn is_zero(number: &u64) -> bool {
    *number == 0
}
