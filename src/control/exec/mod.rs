//! `udpctl exec` and `attach`: a command on one host or many, and its true result.
//!
//! [`RemoteJob`] is the sans-IO machine for one host. [`run()`] feeds many of them from the network thread, the
//! standard streams and signals. [`Show`] and [`summary`] make the output. Not here: the meaning of outcomes, which
//! is in the table of [`message`](crate::message::outcome).

mod plan;
mod remote_job;
mod report;
mod run;
mod show;
pub mod summary;
mod tally;

pub use plan::{Failure, Finish, Interruption, Settings, Task, TerminalMode, Verbosity};
pub use remote_job::{Action, Config, Goal, JobRequest, RemoteJob};
pub use report::{Output, Report};
pub use run::run;
pub use show::{ByteCount, Capture, Escaping, Offset, Show, Shown, Style};
