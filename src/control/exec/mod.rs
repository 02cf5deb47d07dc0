//! `udpctl exec` and `attach`: a command on one host or many, and its true result.
//!
//! [`Attempt`] is the sans-IO machine for one host. [`run()`] feeds many of them from the network thread, the
//! standard streams and signals. [`Show`] and [`summary`] make the output. Not here: the meaning of outcomes, which
//! is in the table of [`message`](crate::message::outcome).

mod attempt;
mod plan;
mod report;
mod run;
mod show;
pub mod summary;

pub use attempt::{Action, Attempt, Config, Goal, Opening};
pub use plan::{Finish, Interruption, Seat, Settings, Task, Verbosity};
pub use report::{Output, Report};
pub use run::run;
pub use show::{Account, Capture, Charge, Cleaning, Place, Show, Shown, Style};
