//! `udpctl exec` and `attach`: a command on one host or many, and its true result.
//!
//! [`RemoteJob`] is the sans-IO machine for one host. [`run()`] feeds many of them from the network thread, the
//! standard streams and signals, in the order of the [fleet](super::fleet)'s rules. [`Show`], [`HostFiles`] and
//! [`summary`] make the output. Not here: the meaning of outcomes, which
//! is in the table of [`message`](crate::message::outcome).

mod exchange;
mod host_files;
mod job_log;
mod plan;
mod recorder;
mod remote_job;
mod run;
mod show;
pub mod summary;
mod surroundings;
mod tally;

pub use exchange::{Attempt, Exchange, ExchangeEvent, ExchangeRequest, Meter};
pub use host_files::{HostDirectory, HostFileError, HostFiles, host_file_name};
pub use job_log::{JobLog, LogEntry};
pub use plan::{
    ATTACH, Failure, Finish, Fleet, Interruption, STDOUT, Settings, Task, TaskHost, TerminalMode,
    Terminals, Verbosity,
};
pub use recorder::Recorder;
pub use remote_job::{Action, Config, Goal, JobRequest, RemoteJob};
pub use run::run;
#[cfg(feature = "cli")]
pub use show::Gathering;
pub use show::{ByteCount, Capture, Escaping, Labels, Offset, Show, Shown, Style};
pub use surroundings::Surroundings;

pub use crate::message::report::{Output, Report};
