//! Operating-system processes with all their descendants: starting, signals, termination of the whole
//! tree, reaping.
//!
//! Not jobs, requests, policy or bytes: the agent decides what runs and reads the pipes; this layer
//! handles `clone`, cgroups, `/proc` and signals. Linux only (pidfd, subreaper, `/proc`, cgroups). It has no thread, uses
//! the clock for start times only, and no call blocks, except those that say so.
//!
//! ```text
//!         start           poll() is Some           exited() is Some            Endings returns Ended
//!   Spec ───────► Starting ─────────────► Process ──────────────────► (a zombie) ─────────────► reap()
//!                                            │  signal(): its group                        ▲
//!                                            └─ Endings: TERM · 5 s · KILL, KILL … ─────────┘
//! ```
//!
//! Invariant: a leader is reaped last. Until then the kernel does not reuse its process id, which is also
//! the id of its session and process group, so no signal can reach an unrelated process.

mod account;
mod cgroup;
mod cgroup_limits;
mod cgroups;
mod child;
mod ending;
mod endings;
mod environment;
mod image;
mod leader;
mod limits;
mod login;
mod orphans;
mod own_file;
mod pipe;
mod procfs;
mod report;
mod script;
mod snapshot;
mod spawn_error;
mod spec;
mod start;
mod start_time;
mod streams;
mod terminal;
mod tree;

pub use account::{Account, AccountError, User};
pub use cgroup::Cgroup;
pub use cgroup_limits::{CgroupController, CgroupLimits};
pub use cgroups::{
    CgroupError, CgroupParent, Cgroups, CgroupsLock, CgroupsReport, NoCgroups, remove_empty,
};
pub use child::inherited::inherited;
pub use child::replace::{Successor, replace, unblock_signals};
pub use ending::{EndingParts, GRACE, KILL_TIME, Progress};
pub use endings::Endings;
pub use environment::{MARKER, PATH, RefusedVariable, clean_environment, is_acceptable};
pub use leader::{Exit, Process};
pub use login::check_user;
pub use orphans::{become_subreaper, end_children, reap_orphans};
pub use pipe::Pipe;
pub use procfs::has_procfs;
pub use rustix::process::{Pid, Resource, Signal};
pub use spawn_error::{Cause, SpawnError, Stage};
pub use spec::{Executable, Limit, Spec, Stdin, Terminal};
pub use start::{Started, Starting, StartingParts, start};
pub use start_time::start_time;
pub use terminal::{Input, Slave, WindowSize};
pub use tree::{Tree, TreeParts};

#[cfg(test)]
mod tests;
