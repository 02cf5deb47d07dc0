//! A whole service with pretended sessions and processes.

mod attach;
mod ending;
mod exec;
mod harness;
mod narrowed;
mod own_command;
mod pacing;
mod policy;
mod processes;
mod record;
mod restore;
mod results;
mod services;
mod sessions;
mod shutdown;
mod terminal;
mod whisper;
