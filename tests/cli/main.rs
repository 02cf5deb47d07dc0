//! The real binaries over loopback: exact stdout, stderr and status, as a user sees them.
//!
//! Every test has its own users (home directories) and its own agents on free ports; nothing sleeps,
//! everything waits on an event with a deadline, and whatever was started is killed by its process id.

mod chat;
mod exec;
mod fleet;
mod harness;
mod jobs;
mod journal;
mod keys;
mod local;
mod plain;
mod revoked;
mod terminal;
mod usage;
mod users;
