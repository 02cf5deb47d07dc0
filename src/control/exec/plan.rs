//! Tasks and settings of a run of `exec` or `attach`, and its result.
//!
//! Values only; [`run`](super::run()) acts on them.

use std::fmt;
use std::io;
use std::time::Duration;

use serde_json::Value;

use super::host_files::HostFileError;
use super::show::Style;
use super::{Goal, JobRequest, Report};
use crate::control::console::Escape;
use crate::control::fleet::{Rules, Stop};
use crate::control::host_resolver::{Host, HostError};
use crate::control::window::Places;
use crate::message::Fate;
use crate::net::Target;
use crate::session::Ticket;

/// Request to one host.
pub struct Task {
    /// The target as the user typed it.
    pub label: String,
    /// The host.
    pub host: TaskHost,
    /// Request to make there.
    pub request: JobRequest,
}

/// Host of a task.
pub enum TaskHost {
    /// Address and key of the agent, or the reason why they are not known.
    Found(Result<Host, HostError>),
    /// Target whose name is looked up during the run.
    Named(Target),
}

impl TaskHost {
    /// Returns the host, if it is known.
    #[must_use]
    pub const fn found(&self) -> Option<&Host> {
        match self {
            Self::Found(Ok(host)) => Some(host),
            Self::Found(Err(_)) | Self::Named(_) => None,
        }
    }
}

/// Use of the user's terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TerminalMode {
    /// The terminal stays the user's.
    Apart,
    /// The terminal becomes the command's once the agent has accepted a command that has one.
    Offered,
}

/// Amount of messages on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verbosity {
    /// None at all: the caller reads the [`Finish`] instead.
    Silent,
    /// Failures and what is missing.
    Quiet,
    /// Also one line for each host.
    Verbose,
}

/// Settings of a run, the same for all hosts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Condition under which a host is done.
    pub goal: Goal,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Time for which a silent agent is retried.
    pub retry_for: Duration,
    /// Form of the output.
    pub style: Style,
    /// True if stdin is read, for the hosts that take it.
    pub stdin: bool,
    /// Use of the user's terminal.
    pub terminal_mode: TerminalMode,
    /// Character that begins an escape sequence on a command's terminal.
    pub escape: Escape,
    /// Command line, without its arguments, that comes back to a command on a terminal.
    pub way_back: &'static str,
    /// Signals that are sent to the command instead of interrupting the run.
    pub forward: Vec<i32>,
    /// Amount of messages on standard error.
    pub verbosity: Verbosity,
    /// Settings for several hosts.
    pub fleet: Fleet,
}

/// Settings of a run over several hosts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fleet {
    /// Hosts in progress at a time.
    pub places: Places,
    /// Order of the hosts, and reasons to stop.
    pub rules: Rules,
    /// Further attempts to reach a host that does not answer.
    pub retries: u32,
    /// Time for which a host may hold up the input of all; `None` for any.
    pub stdin_drop: Option<Duration>,
    /// Standard streams that are terminals; on one for stderr, the progress of the run is shown.
    pub terminals: Terminals,
    /// True if the user's lines on the terminal ask for the progress, or answer a question.
    pub keyboard: bool,
}

/// Standard output and standard error, true if they are terminals.
#[derive(Clone, Copy, Default, Debug)]
pub struct Terminals {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Reason for the end of a run before all its hosts were done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interruption {
    /// This signal arrived.
    Signal(i32),
    /// The reader of standard output or standard error has closed it.
    BrokenPipe,
    /// The user has left a command's terminal.
    Left,
    /// A standard stream could not be written or read.
    Failed,
}

/// Command line that comes back to any command.
pub const ATTACH: &str = "udpctl attach";

/// Name of standard output in a [`Failure`].
pub const STDOUT: &str = "standard output";

/// Local failure that ended a run early.
#[derive(Debug)]
pub enum Failure {
    /// The network thread has ended.
    Network,
    /// The thread that makes input and takes output has ended.
    Exchange,
    /// A stream could not be read or written.
    Stream {
        /// Name of the stream, as in `standard output`.
        name: &'static str,
        /// Error of the system.
        error: io::Error,
    },
    /// A file could not be written.
    File(HostFileError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("the network thread has ended"),
            Self::Exchange => f.write_str("the thread that reads and writes files has ended"),
            Self::Stream { name, error } => write!(f, "{name}: {error}"),
            Self::File(HostFileError { path, error }) => write!(f, "{}: {error}", path.display()),
        }
    }
}

/// Result of a run.
#[derive(Default, Debug)]
pub struct Finish {
    /// Outcome class of each task.
    pub fates: Vec<Fate>,
    /// Largest exit status of a command, or of what stands for it.
    pub largest_status: u8,
    /// Reason why not all hosts have begun.
    pub stopped: Option<Stop>,
    /// Report of the host that ended last; the only one in a run with one target.
    pub report: Option<Report>,
    /// Ticket of the agent of that host, if it answered.
    pub ticket: Option<Ticket>,
    /// If that host has not answered: true if its agent has answered before this run.
    pub unanswered: Option<bool>,
    /// Reason for an early end.
    pub interruption: Option<Interruption>,
    /// Hosts whose files do not have all bytes of their outputs.
    pub incomplete: Vec<String>,
    /// First local failure, with [`Interruption::Failed`] or [`Interruption::BrokenPipe`].
    pub failure: Option<Failure>,
    /// End of the standard error of the host in a run with one target, limited.
    pub stderr_end: Vec<u8>,
    /// JSON objects of the hosts of an exchange, by task, in the order in which they ended.
    pub objects: Vec<(usize, Value)>,
    /// Duration of the run.
    pub took: Duration,
}
