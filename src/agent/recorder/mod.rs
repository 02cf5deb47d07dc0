//! The recorder: a process that writes log lines and audit records, so that no other process waits for a disk, a
//! terminal or a log collector.
//!
//! It is this program, executed again under the name [`NAME`] ([`program`]), and talks to its producers over
//! `SOCK_SEQPACKET` socket pairs. One socket carries the audit records of the supervisor and their acknowledgements,
//! [`LOGS`] further ones carry log lines, one for the supervisor and one for the fronts. They are passed over the
//! recorder's standard input, a socket whose end tells the supervisor that the recorder has died. The supervisor keeps
//! both ends of all, so that another recorder continues with what is in them; a file in memory tells it the number of
//! the last record that was written. The kernel keeps the boundaries of packets and a log line is one
//! packet, so a front that dies cannot leave half a line, and the next front can go on with the same socket. Records
//! may have several mebibytes and take several packets; a number in each tells which record it belongs to.
//!
//! A producer holds an [`AuditSender`] or [`LogSender`]: a bounded queue before the socket. Whatever finds it full is
//! counted, and the count is written in the place of the missing lines. Not here: what is recorded
//! ([`audit`](super::audit)).
//!
//! Invariant: a producer never waits for the recorder, except for a bounded time at its start and its end.

mod audit_sender;
mod beside_prompt;
mod frame;
pub mod limits;
pub mod log_format;
mod log_sender;
pub mod program;
mod pump;
mod sender;
mod settings;
mod shared_log;
mod socket;
mod start;

pub use audit_sender::{AuditSender, Receipt};
pub use log_sender::LogSender;
pub use program::ignore_signals;
pub use shared_log::SharedLog;
pub use socket::LOGS;
pub use start::{
    NAME, Position, Recorder, RecorderEvent, RecorderPid, RecorderProcess, StartError,
};
