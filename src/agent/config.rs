//! How an agent is set up: flags over environment over `udpagent.toml` over defaults.
//!
//! Each source fills a [`Layer`]; [`Config::resolve`] lays them over each other. Not here: reading
//! flags or the environment, and who may connect.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::home::FileError;
use crate::net::Bind;

/// Whether the agent does something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// It does.
    On,
    /// It does not.
    Off,
}

/// Where the audit lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuditTo {
    /// Nowhere.
    Off,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}

/// What happens when an audit line cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditFailure {
    /// The command runs; the failure is logged.
    Run,
    /// The command is refused.
    Refuse,
}

/// How diagnostics are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What one source says; `None`: nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Layer {
    /// Addresses to listen on.
    pub bind: Option<Vec<Bind>>,
    /// The agent's name in chats.
    pub name: Option<String>,
    /// What plain text is answered with; `{text}` stands for it.
    pub reply: Option<String>,
    /// Run commands.
    pub exec: Option<Switch>,
    /// Take plain text.
    pub plain: Option<Switch>,
    /// A command to run for each message, as argv.
    pub on_message: Option<Vec<String>>,
    /// How diagnostics are written.
    pub log_format: Option<LogFormat>,
    /// Jobs at a time, of all keys together.
    pub max_jobs: Option<u32>,
    /// The longest a command may run.
    pub max_runtime: Option<Duration>,
    /// The most bytes a command may write.
    pub max_output: Option<u64>,
    /// Where the audit lines go.
    pub audit: Option<AuditTo>,
    /// What happens when they cannot be written.
    pub audit_failure: Option<AuditFailure>,
}

/// What an agent is set up to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Addresses to listen on.
    pub bind: Vec<Bind>,
    /// The agent's name in chats; `None`: the host's.
    pub name: Option<String>,
    /// What plain text is answered with; `None`: it is not.
    pub reply: Option<String>,
    /// Run commands.
    pub exec: Switch,
    /// Take plain text.
    pub plain: Switch,
    /// A command to run for each message, as argv.
    pub on_message: Option<Vec<String>>,
    /// How diagnostics are written.
    pub log_format: LogFormat,
    /// Jobs at a time, of all keys together.
    pub max_jobs: u32,
    /// The longest a command may run; `None`: as long as it likes.
    pub max_runtime: Option<Duration>,
    /// The most bytes a command may write; `None`: any number.
    pub max_output: Option<u64>,
    /// Where the audit lines go.
    pub audit: AuditTo,
    /// What happens when they cannot be written.
    pub audit_failure: AuditFailure,
}

/// Jobs at a time unless configured: more are a mistake on any machine.
pub const DEFAULT_MAX_JOBS: u32 = 256;

impl Config {
    /// Lays sources over each other, the first that says something wins.
    #[must_use]
    pub fn resolve(layers: [Layer; 3]) -> Self {
        todo!()
    }
}

/// Why the file could not be used.
#[derive(Debug)]
pub enum ConfigError {
    /// It could not be read.
    File(FileError),
    /// `--config` named a file that is not there.
    Missing(PathBuf),
    /// It could not be understood: file, line, and what is wrong, naming the key.
    Parse(PathBuf, usize, String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for ConfigError {}

/// Reads `udpagent.toml`; `None` when there is none.
///
/// # Errors
/// [`ConfigError`]
pub fn load(path: &Path) -> Result<Option<Layer>, ConfigError> {
    todo!()
}
