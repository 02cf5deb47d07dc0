//! A whole service with pretended sessions and processes.

mod attach;
mod ending;
mod exec;
mod harness;
mod narrowed;
mod record;
mod sessions;
mod shutdown;
mod terminal;
