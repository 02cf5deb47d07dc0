//! The directories of the two programs, and the files in them.
//!
//! Both programs need the directories of both: the agent accepts the controller key of the user who
//! runs it, and the controller trusts the agent of its own user. Not here: the contents of the
//! files.
//!
//! Invariants: the environment is an argument, so no test depends on that of the process. A file
//! that grants rights is used only if nobody but its owner or root could have written it. A file is
//! replaced as a whole or not at all.

mod dirs;
mod file;
mod lock;

pub use dirs::{AgentHome, ControlHome, Lookup, NoHome, User, environment};
pub use file::{
    FileError, MAX_FILE, Readers, open, read, read_at_most, read_bytes, replace, replace_hint,
    replace_unsynced, rewrite,
};
pub use lock::{Lock, lock, try_lock};
