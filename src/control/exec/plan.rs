//! What a run of `exec` or `attach` is to do, and how it went.

use std::time::Duration;

use super::show::Style;
use super::summary::Tally;
use super::{Goal, Opening, Report};
use crate::control::link::{Host, HostError};

/// What is to be done on one host.
pub struct Task {
    /// As the user typed it.
    pub label: String,
    /// Where; or why that is not known.
    pub host: Result<Host, HostError>,
    /// What to ask there.
    pub opening: Opening,
}

/// Whether the user's terminal becomes that of the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seat {
    /// It does not.
    Apart,
    /// It does, once the agent has taken a command that has one.
    Offered,
}

/// How much is said about what went well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verbosity {
    /// Nothing.
    Quiet,
    /// A line for each host.
    Verbose,
}

/// How it is done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When a host is done with.
    pub goal: Goal,
    /// How long an agent that does not answer is waited for.
    pub contact_timeout: Duration,
    /// How long an agent that fell silent is asked again.
    pub patience: Duration,
    /// How output is shown.
    pub style: Style,
    /// Read stdin, for those who take it.
    pub stdin: bool,
    /// Whether the user's terminal becomes that of the command.
    pub seat: Seat,
    /// Signals that are the command's and not ours.
    pub forward: Vec<i32>,
    /// How much is said.
    pub verbosity: Verbosity,
}

/// Why it ended before every host had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interruption {
    /// This signal came.
    Signal(i32),
    /// Nobody reads our output.
    BrokenPipe,
    /// The user has left a command's terminal.
    Left,
    /// Our output could not be written, or our input read.
    Failed,
}

/// How it went.
#[derive(Debug)]
pub struct Finish {
    /// Each host's fate.
    pub tally: Tally,
    /// The result of the last one that ended; all there is to tell of one host.
    pub report: Option<Report>,
    /// What came between.
    pub interruption: Option<Interruption>,
    /// How long it took.
    pub took: Duration,
}
