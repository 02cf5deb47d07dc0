//! The messages between the supervisor and the front.
//!
//! All are plain values. Invariant: no message asks the other side to wait, and none of the front gives it a right:
//! the supervisor decides again by its own policy.

use serde::{Deserialize, Serialize};

use super::extent::Extent;
use crate::agent::access::PolicyFiles;
use crate::agent::chat::{Earlier, ReplyTemplate, SavedHistory};
use crate::agent::config::LogFormat;
use crate::agent::jobs::{self, Digest, Force, JobId, Output, Restored, Start, Status};
use crate::agent::sandbox::{self, InForce};
use crate::agent::switch::Switch;
use crate::crypto::PublicKey;
use crate::message::{Cause, RequestId, Window};
use crate::net;
use crate::peer_addr::PeerAddr;
use crate::process::Account;
use crate::prompt::unsent::Unsent;
use crate::session::{Path, ResetRecord};
use crate::time::Instant;
use crate::wire::limits::INVITE;

/// Origin of the front's policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Feed {
    /// These keys and no others, all without restrictions.
    Keys(Vec<PublicKey>),
    /// The texts of the files.
    Files(Box<PolicyFiles>),
}

/// Treatment of plain text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Plain {
    /// Plain text is dropped.
    Off,
    /// Plain text is shown, and answered if there is a template.
    Shown(Option<ReplyTemplate>),
}

/// Style of the chat on standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChatOutput {
    /// Format.
    pub format: LogFormat,
    /// True if messages at a prompt have a time stamp.
    pub is_timed: bool,
}

/// Input of the prompts of earlier fronts.
#[derive(Debug, Serialize, Deserialize)]
pub struct TypedBefore {
    /// Lines, oldest first.
    pub lines: Vec<String>,
    /// Input that was not processed.
    pub unsent: Unsent,
    /// True if the last front has ended with that.
    pub is_draft_lost: bool,
}

/// First message to a front, after its descriptors: standard input, the rings of outputs, the rings of inputs, and
/// the sockets.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Secret key of the agent, as text.
    pub identity: String,
    /// Name of the agent.
    pub name: String,
    /// Configuration of the jobs.
    pub jobs: jobs::Config,
    /// Sessions of one key.
    pub sessions_per_key: usize,
    /// Off if no key may run a command.
    pub exec: Switch,
    /// Treatment of plain text.
    pub plain: Plain,
    /// The policy.
    pub policy: Feed,
    /// User who runs the agent.
    pub account: Account,
    /// Start of the agent; older requests are unknown.
    pub began: Instant,
    /// Random number of this run of the agent.
    pub epoch: u64,
    /// Format of the log, and number of `-v`.
    pub log: (LogFormat, u8),
    /// The chat on standard output.
    pub chat: ChatOutput,
    /// On if a terminal is to have a prompt, unless its user has left that.
    pub prompt: Switch,
    /// Input of the prompt before.
    pub typed: TypedBefore,
    /// History of the chat.
    pub history: SavedHistory,
    /// Number of the next job.
    pub next_job: JobId,
    /// Number of slots of the rings.
    pub slots: u32,
    /// Fingerprints of INITs that an earlier run has answered.
    pub seen: Vec<u64>,
    /// Fingerprints of INITs that this run has answered, and when.
    pub seen_by_run: Vec<(Instant, u64)>,
    /// Sessions of earlier fronts.
    pub resets: Vec<ResetRecord>,
    /// Restriction that the front puts itself under.
    pub sandbox: sandbox::Plan,
}

/// Message of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToFront {
    /// The first message.
    Setup(Box<Setup>),
    /// A job of an earlier front. Follows [`Setup`].
    Restored {
        /// Number of its rings.
        slot: u32,
        /// Bases of the rings of stdout, stderr and stdin.
        extents: [Extent; 2],
        /// Base of the ring of stdin.
        stdin_base: u64,
        /// The job.
        restored: Box<Restored>,
    },
    /// Forgotten requests.
    Remembered(Vec<Remembered>),
    /// Keys of which older requests are not remembered, and the time of entry of the youngest of those.
    Horizons(Vec<(PublicKey, Instant)>),
    /// Everything is restored: the front may serve.
    Ready,
    /// State of a process, and the bases of the rings of its outputs.
    Report(Report),
    /// A changed policy.
    Policy(Box<PolicyFiles>),
    /// Answer to [`ToSupervisor::Redeem`]: the name of the key, or `None` if the invitation was refused.
    Redeemed {
        /// Number of the question.
        question: u64,
        /// Name of the listed key.
        name: Option<String>,
    },
    /// Report the counters by [`ToSupervisor::Counted`] with this number.
    Count(u64),
    /// Somebody has pressed Ctrl-C at the prompt.
    Interrupted,
    /// The agent is to end.
    ShutDown,
}

/// Counters of a front since its start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct FrontCounts {
    /// Counters of the network.
    pub net: net::Counts,
    /// Lines of its log that were dropped.
    pub log_dropped: u64,
}

/// A forgotten request.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Remembered {
    /// Key of its controller.
    pub key: PublicKey,
    /// Its id.
    pub request: RequestId,
    /// First bytes of its hash.
    pub digest: Digest,
    /// Time of its entry.
    pub entered: Instant,
}

/// State of a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// State of its process.
    pub status: Status,
    /// Bases of the rings of its outputs.
    pub extents: [Extent; 2],
}

/// Message of the front.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// The front serves from now on, under this restriction.
    Serving(InForce),
    /// Start a process. `slot` is free, and its rings are those of the job.
    Start {
        /// Number of the job.
        job: JobId,
        /// Number of its rings.
        slot: u32,
        /// The process, and what a later front needs.
        start: Box<Start>,
    },
    /// Bytes of an output below the offset are not needed any more.
    Release(JobId, Output, u64),
    /// The controller lets so many bytes of an output be sent beyond those that it has consumed.
    Window(JobId, Output, u64),
    /// Close an output.
    Shut(JobId, Output),
    /// The ring of stdin holds the bytes up to `end`.
    Stdin {
        /// The job.
        job: JobId,
        /// Base of the ring.
        base: u64,
        /// Offset of the end of the bytes.
        end: u64,
        /// True if the input ends there.
        eof: bool,
    },
    /// Set the size of a terminal.
    Resize(JobId, Window),
    /// End a process tree.
    End(JobId, Cause, Force),
    /// Send a signal to the leader's group.
    Signal(JobId, i32),
    /// Keep a picture of the terminal at an offset of its output.
    Picture(JobId, u64, Window, Vec<u8>),
    /// Another controller has attached to a job of the prompt.
    TakenFromPrompt(JobId),
    /// Leave a process alone.
    Detach(JobId),
    /// Forget an ended job.
    Forget(JobId),
    /// Write a line to the audit.
    Record(Vec<u8>),
    /// Number of processes that the bot needs; after `Serving`.
    BotProcesses(usize),
    /// A member, or the agent's user, has said something in a room of the chat; its time has no meaning.
    Said(Earlier),
    /// An INIT with this fingerprint was answered.
    InitSeen(u64),
    /// A session was opened.
    SessionOpened(u64, PublicKey, ResetRecord),
    /// A session has moved to another path.
    SessionMoved(u64, Path),
    /// A session is over.
    SessionClosed(u64),
    /// List a key by its invitation.
    Redeem {
        /// Number of the question.
        question: u64,
        /// The key.
        key: PublicKey,
        /// Address of its controller.
        address: PeerAddr,
        /// The invitation.
        invite: [u8; INVITE],
        /// Requested name.
        name: String,
    },
    /// Answer to [`ToFront::Count`].
    Counted(u64, Box<FrontCounts>),
    /// The front has a prompt on the terminal from now on, or its user has left it.
    Prompt(Switch),
    /// Keep a line typed at the prompt for the line editor of a later front.
    Typed(String),
    /// Keep what was typed at the prompt and not processed for a later front: this one ends.
    Unsent(Box<Unsent>),
    /// Without a prompt, the user is asked whether to send lines that are held, or is not any more.
    LinesAsked(Switch),
    /// Ctrl-C has discarded a line at the prompt, or lines that wait for an answer, and does not mean the agent.
    Discarded,
    /// Somebody at the prompt was asked about running commands, and the agent does not end.
    Stays,
    /// The agent is to end, as somebody at its terminal has asked.
    ShutDown,
    /// All sessions are closed; the front ends.
    Closed,
}
