//! Tasks and settings of a run of `exec` or `attach`, and its result.
//!
//! Values only; [`run`](super::run()) acts on them.

use std::time::Duration;

use super::show::Style;
use super::summary::Tally;
use super::{Goal, JobRequest, Report};
use crate::control::host_resolver::{Host, HostError};

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

/// Amount of output about successes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verbosity {
    /// None.
    Quiet,
    /// One line for each host.
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
    /// Amount of output about successes.
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

/// Result of a run.
#[derive(Debug)]
pub struct Finish {
    /// Outcome classes of all hosts.
    pub tally: Tally,
    /// Report of the host that ended last; the only one in a run with one target.
    pub report: Option<Report>,
    /// Reason for an early end.
    pub interruption: Option<Interruption>,
    /// Duration of the run.
    pub took: Duration,
}
