//! Where the programs keep their files, and how such files are read and replaced.
//!
//! Both programs need both halves: the agent accepts the controller key of the user who runs it, the
//! controller trusts the agent of its own user. Not here: what is in the files. Invariants: the
//! environment is an argument, so no test depends on the process's own; a file that decides who may do
//! what is believed only if nobody else could have written it; a file is replaced whole or not at all.

mod dirs;
mod file;

pub use dirs::{AgentHome, ControlHome, Lookup, NoHome, User, environment};
pub use file::{FileError, Lock, MAX_FILE, Readers, lock, read, replace, replace_hint};
