//! The description of a process to spawn.
//!
//! Not policy: authorization happens before. Invariant: the values reach the process byte for byte, and no
//! others do.

use std::ffi::OsString;
use std::path::PathBuf;

use super::environment::PATH;
use super::{Account, Resource, WindowSize};

/// Program, environment and attributes of a process to spawn.
///
/// Build it as `Spec { argv, env, ..Spec::default() }`, so that fields can be added later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Program and arguments. The program is looked up in `path` unless it contains a slash.
    pub argv: Vec<OsString>,
    /// Text of a script to run instead of a program. `argv[0]` is then only its name.
    pub script: Option<Vec<u8>>,
    /// Complete environment (see [`clean_environment`](super::clean_environment)), to which the marker is added.
    pub env: Vec<(OsString, OsString)>,
    /// Search path for `argv[0]`, in the format of `PATH`. The `PATH` of `env` is not used, because a request
    /// may set it. The default is [`PATH`](super::PATH).
    pub path: OsString,
    /// Working directory. A relative program name (`./x`) is resolved in it.
    pub cwd: PathBuf,
    /// Source of descriptor 0.
    pub stdin: Stdin,
    /// Size of a terminal for descriptors 0, 1 and 2, which replaces `stdin`. The terminal's other end is both
    /// [`Process::stdin`](super::Process) and `stdout`, and there is no `stderr`.
    pub terminal: Option<WindowSize>,
    /// User to run as, with all of the user's groups. `None` keeps the user of the agent. Any other user needs
    /// root.
    pub user: Option<Account>,
    /// Resource limits of it and of each descendant.
    pub limits: Vec<Limit>,
    /// Value of [`MARKER`](super::MARKER) in the environment, which identifies descendants that have left the
    /// session. Empty for none.
    pub marker: String,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            argv: Vec::new(),
            script: None,
            env: Vec::new(),
            path: PATH.into(),
            cwd: "/".into(),
            stdin: Stdin::Null,
            terminal: None,
            user: None,
            limits: Vec::new(),
            marker: String::new(),
        }
    }
}

/// A resource limit of `setrlimit(2)`. It never raises the agent's own limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Limited resource.
    pub resource: Resource,
    /// Limit in the resource's unit: bytes, seconds of processor time, descriptors, processes of the user.
    pub at_most: u64,
}

/// Source of a process's descriptor 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stdin {
    /// `/dev/null`, which is at its end at once.
    #[default]
    Null,
    /// A pipe with [`Process::stdin`](super::Process) as its other end.
    Pipe,
}
