//! Questions to an agent, and its answers. Their JSON form is the output of the tools, so names stay the same in later
//! versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::crypto::PublicKey;

/// A question to a running agent. A connection carries one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// State and counters of the agent. The answer is [`Reply::Status`].
    Status,
    /// Keys that may connect. The answer is a [`Reply::Key`] for each and [`Reply::Done`].
    Keys,
    /// Order to load the files and the program again. If that fails, the answer is [`Reply::NotReloaded`]; otherwise the
    /// connection ends when the program is replaced.
    Reload,
}

/// A part of an answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// State and counters.
    Status(Box<Status>),
    /// The program is not replaced.
    NotReloaded {
        /// The reason.
        reason: String,
    },
    /// A key.
    Key(KeyView),
    /// End of an answer of several parts.
    Done {
        /// Start of the agent, RFC 3339: nothing before it is known.
        since: String,
    },
}

/// State and counters of an agent since its start.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Name of the agent.
    pub name: String,
    /// Public key of the agent.
    pub key: String,
    /// Addresses that it listens on.
    pub listening: Vec<String>,
    /// Settings of the configuration that are not in force, with the reasons.
    #[serde(default)]
    pub not_in_force: Vec<String>,
    /// Command of its bot, as a shell would take it; `None` if there is no bot.
    #[serde(default)]
    pub on_message: Option<String>,
    /// Time of its start, RFC 3339.
    pub started: String,
    /// Time since then in milliseconds.
    pub uptime_ms: u64,
    /// Number of keys that may connect.
    pub keys: u64,
    /// Restriction of the process that serves the network; `None` until it has reported one.
    pub sandbox: Option<String>,
    /// True if the process that serves the network has reported its counters for this answer.
    pub front_answers: bool,
    /// Unexpected ends of the process that serves the network, after which another was started.
    pub front_restarts: u64,
    /// Number of times that the program was replaced.
    pub replacements: u64,
    /// Number of times that the files of the keys were read again.
    pub reloads: u64,
    /// Sessions.
    pub sessions: Sessions,
    /// Commands.
    pub commands: Commands,
    /// First datagrams of sessions.
    pub handshakes: Handshakes,
    /// All datagrams.
    pub datagrams: Datagrams,
    /// Lines and records that were dropped because the recorder did not take them.
    pub dropped_records: DroppedRecords,
}

/// Counters of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// Sessions now.
    pub open: u64,
    /// Sessions that were opened.
    pub opened: u64,
    /// Sessions that were closed or lost.
    pub closed: u64,
}

/// Counters of commands.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Commands {
    /// Commands that run now.
    pub running: u64,
    /// Commands that were accepted.
    pub accepted: u64,
    /// Commands that were denied or refused.
    pub denied: u64,
    /// Commands that have ended, by the name of the outcome.
    pub ended: BTreeMap<String, u64>,
}

/// Counters of first datagrams (INIT).
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Handshakes {
    /// INITs received, repeats included.
    pub received: u64,
    /// Handshakes answered.
    pub answered: u64,
    /// RETRYs sent.
    pub retries: u64,
    /// INITs that were not answered, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// Counters of datagrams.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Datagrams {
    /// Datagrams received.
    pub received: u64,
    /// Their octets.
    pub received_bytes: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Their octets.
    pub sent_bytes: u64,
    /// Datagrams that the system refused to send.
    pub unsent: u64,
    /// Datagrams of plain text among the received ones that were shown.
    pub plain: u64,
    /// Stateless resets sent.
    pub resets: u64,
    /// Datagrams that were dropped, by reason, INITs included.
    pub dropped: BTreeMap<String, u64>,
}

/// Counters of lines that are missing in log and audit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct DroppedRecords {
    /// Records of the audit.
    pub audit: u64,
    /// Lines of the log.
    pub log: u64,
}

/// A key that may connect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyView {
    /// The key.
    pub key: PublicKey,
    /// Its name.
    pub name: String,
    /// Its options, as in `authorized_keys`.
    pub options: Vec<String>,
    /// True if `expires=` has passed.
    pub expired: bool,
    /// Number of its open sessions; `None` if no agent runs.
    pub sessions: Option<u64>,
    /// Time at which its last session was opened or ended, RFC 3339; `None` if it had none since the start of the
    /// agent.
    pub last_seen: Option<String>,
}
