//! One process of the operating system and everything that descends from it: started, watched, signalled,
//! ended to the last descendant, reaped.
//!
//! Not jobs, requests, policy or bytes: a room of the agent decides what runs and reads the pipes; this
//! one knows `fork`, `/proc` and signals. Linux only (pidfd, subreaper, `/proc`); no thread, no clock and
//! no blocking wait of its own: every call returns at once, but for `spawn`, which waits for `exec`.
//!
//! ```text
//!            spawn             exited() is Some                 Ending says Ended
//!   Spec ───────────► Process ──────────────────► (still a zombie) ─────────────► reap()
//!                        │  signal(): its group                         ▲
//!                        └─ tree() ─► Ending: TERM · 5 s · KILL, KILL … ┘
//! ```
//!
//! Invariant: a leader is reaped last. Until then its process id, which is also its session's and its
//! group's, cannot be given to anybody else, so that no signal of ours can hit a stranger.

mod account;
mod child;
mod ending;
mod environment;
mod image;
mod leader;
mod limits;
mod orphans;
mod pipe;
mod script;
mod snapshot;
mod spawn;
mod spawn_error;
mod spec;
mod streams;
mod terminal;
mod tree;

pub use account::{Account, Unreachable};
pub use ending::{Ending, GIVE_UP_AFTER, GRACE, Progress};
pub use environment::{MARKER, PATH, RefusedVariable, clean_environment};
pub use leader::{Exit, Process};
pub use orphans::{become_subreaper, reap_orphans};
pub use pipe::Pipe;
pub use rustix::process::{Pid, Resource, Signal};
pub use snapshot::ProcessSnapshot;
pub use spawn::spawn;
pub use spawn_error::{SpawnError, Stage};
pub use spec::{Limit, Spec, Stdin};
pub use terminal::{Input, Slave, WindowSize};
pub use tree::Tree;

#[cfg(test)]
mod tests;
