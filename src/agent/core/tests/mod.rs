//! A whole service with pretended sessions and processes.

mod attach;
mod ending;
mod exec;
mod record;
mod sessions;
mod stage;
mod terminal;
