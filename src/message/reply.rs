//! Replies of an agent on a call's control lane.
//!
//! Not the outputs, which have lanes of their own. A member is required unless its documentation gives a default.
//! Offsets and lengths count the bytes of a job's stream from its beginning and are below 2^62; a controller takes
//! a reply with a larger one for a violation.

use serde::{Deserialize, Serialize};

use super::{OsText, Outcome, RequestId, RoomName};
use crate::crypto::PublicKey;

/// Line from the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// First answer to `exec` and `attach`: the request is in the register and is started once.
    Accepted {
        /// Request id of the job.
        id: RequestId,
        /// Offset of the first stdout byte that follows. If it is above the one asked for, the agent no longer
        /// holds the bytes between.
        stdout: u64,
        /// The same for stderr.
        stderr: u64,
        /// Offset in stdin that the data lane of an `attach` call is to begin with: the bytes that the job has
        /// taken so far. The data lane of an `exec` call always begins at 0, and the agent skips what was taken.
        /// Default: 0.
        #[serde(default)]
        stdin: u64,
        /// True if the job has a terminal. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        terminal: bool,
        /// True if the job is not ended when its controllers are gone (`on_disconnect` is `keep`). Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        kept: bool,
        /// Bytes that paint the terminal's screen, in the place of the stdout between the byte asked for and the
        /// first that follows. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        screen: Option<OsText>,
    },
    /// The process runs.
    Started {
        /// Process id on the agent's host, above 0.
        pid: i32,
        /// Error number (`errno`) of the agent's system, if the home directory of the user could not be entered and
        /// the command runs in `/` instead. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<i32>,
    },
    /// The job has ended, or there is none. The result is whole once every byte below the two lengths has arrived.
    Exit {
        /// Outcome of the command.
        outcome: Outcome,
        /// Final length of stdout, in bytes.
        stdout: u64,
        /// Final length of stderr, in bytes.
        stderr: u64,
        /// True if a process still held stdout or stderr open when the agent stopped reading. Default: false.
        #[serde(default)]
        streams_open: bool,
        /// Reason why the agent ended the command, or the kind of request that the key may not make. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// True if the process still runs, because it could not be killed. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        still_running: bool,
    },
    /// Answer to `jobs`.
    Jobs {
        /// Jobs of this key, or of all, oldest first.
        jobs: Vec<JobView>,
        /// Number of older jobs that the line has no room for. Default: 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        left_out: u64,
    },
    /// Answer to `ping`.
    Pong {
        /// Name of the agent, at most [`limits::NAME`](super::limits::NAME) bytes.
        name: String,
        /// Version of the agent's program, as in `1.2.3`.
        version: String,
    },
    /// Answer to `register`: the key is entered under this name.
    Registered {
        /// Name of this controller's key.
        name: String,
        /// Name of the agent.
        agent: String,
        /// True if the key was listed before, so that the invitation has changed nothing. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        listed: bool,
    },
    /// Answer to `chat`: this controller is a member.
    Joined {
        /// Name of this controller in the chat.
        name: String,
        /// Names of the other members of the room.
        members: Vec<String>,
        /// Name of the room. Default: none, the default room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
        /// Position of the last message that the history of the room has, before those that follow; 0 if it is empty.
        /// Default: none, the agent keeps no messages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
    },
    /// Message from another member.
    Said {
        /// Name of the sender.
        from: String,
        /// The message, at most [`limits::CHAT_TEXT`](super::limits::CHAT_TEXT) bytes.
        text: String,
        /// True if the sender is not authenticated: a plain-text peer, named by its address. Default: false.
        #[serde(default)]
        unverified: bool,
        /// Number of bytes of plain text that are missing behind `text`. Default: none, it is complete.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut: Option<u64>,
        /// Time in milliseconds since the message was said, if that was before this controller joined. Default: none,
        /// the message is new.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        age_ms: Option<u64>,
        /// Name of the room. Default: none, the default room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
        /// True if a bot has said it; a bot does not answer it. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        bot: bool,
        /// True if the text describes an action of the sender. Default: false.
        #[serde(default, skip_serializing_if = "is_false")]
        action: bool,
        /// Position of the message in the history of the room, larger than that of each message before. Default: none,
        /// the message is not kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
    },
    /// Message from another member to this controller only.
    Whispered {
        /// Name of the sender.
        from: String,
        /// The message, bounded as in `said`.
        text: String,
        /// Name of the room. Default: none, the default room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
    },
    /// A member has joined the room.
    Came {
        /// Name of the member.
        name: String,
        /// Name of the room. Default: none, the default room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
    },
    /// A member has left the room.
    Left {
        /// Name of the member.
        name: String,
        /// Name of the room. Default: none, the default room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<RoomName>,
    },
    /// Receipt for a message.
    Delivered {
        /// Number that `say` gave it.
        number: u64,
        /// Number of members that it was passed on to; 0 if it had been passed on before.
        members: u32,
        /// Position of the message in the history of the room. Default: none, the message is not kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
    },
    /// Messages were dropped, because this controller reads too slowly.
    Missed {
        /// Number of messages since the last such line.
        messages: u64,
    },
    /// The key may not do this.
    Denied {},
    /// The signal was sent, or the job is being ended.
    Done {},
    /// The agent knows no such job, or it does not run.
    NoJob {},
    /// The request is not understood, or not allowed at this place.
    Unsupported {
        /// Explanation for people; escape it before showing.
        reason: String,
    },
}

/// Reason why an agent has ended a job, or has left it running; with `denied`, the kind of request that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A controller asked for it.
    Requested,
    /// The request's deadline passed.
    Timeout,
    /// The command reached the agent's limit on running time.
    Runtime,
    /// The command reached the agent's limit on output.
    Output,
    /// The job's controller was silent for longer than the lease.
    Lease,
    /// The job's key was removed, has expired, or may no longer run its command.
    Revoked,
    /// The agent was shut down.
    Shutdown,
    /// Of `denied`: the key may not use a terminal.
    Terminal,
    /// Of `denied`: the key may not run a script.
    Script,
    /// Of `denied`: the key may not run commands as that user.
    User,
    /// Of `denied`: the key may not set variables.
    Variables,
    /// Of `denied`: the key may not choose the working directory.
    Directory,
    /// Of `denied`: the key may not copy files from the host.
    CopyFrom,
    /// Of `denied`: the key may not copy files to the host.
    CopyTo,
    /// Of `denied`: the key may not forward connections there.
    Forward,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl Cause {
    /// Returns the reason in a few words, as they follow an outcome.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Requested => "on request",
            Self::Timeout => "the time given with --timeout has passed",
            Self::Runtime => "the agent lets no command run for longer",
            Self::Output => "the agent lets no command write more",
            Self::Lease => "its controller was silent for longer than the lease",
            Self::Revoked => "its key may no longer run it",
            Self::Shutdown => "the agent was shut down",
            Self::Terminal => "this key may not use a terminal (-t)",
            Self::Script => "this key may not run scripts (--script)",
            Self::User => "this key may not run commands as that user (--user)",
            Self::Variables => "this key may not set variables (--env)",
            Self::Directory => "this key may not choose the working directory (--cwd)",
            Self::CopyFrom => "this key may not copy files from this host (udpctl cp)",
            Self::CopyTo => "this key may not copy files to this host (udpctl cp)",
            Self::Forward => "this key may not forward connections there (-L, -W)",
            Self::Other => "for a reason that this version does not know",
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Job in the list of a key's jobs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Request id.
    pub id: RequestId,
    /// The command, cut behind 512 bytes with an ellipsis; empty in a list that would be too long.
    pub argv: Vec<OsText>,
    /// Time in milliseconds since the agent accepted the request.
    pub age_ms: u64,
    /// State of the job.
    pub state: JobState,
    /// Length of stdout so far, in bytes.
    pub stdout: u64,
    /// Length of stderr so far, in bytes.
    pub stderr: u64,
    /// True if the job has ended and its process still runs, because it could not be killed. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub still_running: bool,
    /// Key of its owner, in a list of the jobs of all keys. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    /// Name of that key, if it is listed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// State of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// The job has not ended.
    Running {},
    /// The job has ended.
    Ended(Outcome),
}
