//! Tasks and settings of a run of `exec` or `attach`, and its result.
//!
//! Values only; [`run`](super::run()) acts on them.

use std::fmt;
use std::io;
use std::time::Duration;

use super::show::Style;
use super::summary::Tally;
use super::{Goal, JobRequest, Report};
use crate::control::host_resolver::{Host, HostError};
use crate::session::Ticket;

/// Request to one host.
pub struct Task {
    /// The target as the user typed it.
    pub label: String,
    /// Address and key of the agent, or the reason why they are not known.
    pub host: Result<Host, HostError>,
    /// Request to make there.
    pub request: JobRequest,
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
    /// Signals that are sent to the command instead of interrupting the run.
    pub forward: Vec<i32>,
    /// Amount of messages on standard error.
    pub verbosity: Verbosity,
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

/// Local failure that ended a run early.
#[derive(Debug)]
pub enum Failure {
    /// The network thread has ended.
    Network,
    /// A stream could not be read or written.
    Stream {
        /// Name of the stream, as in `standard output`.
        name: &'static str,
        /// Error of the system.
        error: io::Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("the network thread has ended"),
            Self::Stream { name, error } => write!(f, "{name}: {error}"),
        }
    }
}

/// Result of a run.
#[derive(Debug)]
pub struct Finish {
    /// Outcome classes of all hosts.
    pub tally: Tally,
    /// Report of the host that ended last; the only one in a run with one target.
    pub report: Option<Report>,
    /// Ticket of the agent of that host, if it answered.
    pub ticket: Option<Ticket>,
    /// Reason for an early end.
    pub interruption: Option<Interruption>,
    /// First local failure, with [`Interruption::Failed`] or [`Interruption::BrokenPipe`].
    pub failure: Option<Failure>,
    /// Duration of the run.
    pub took: Duration,
}
