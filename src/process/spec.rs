//! What to run: everything `spawn` needs to know, and nothing it would have to guess.
//!
//! Not policy: whether it may run was decided before. Invariant: what is in here reaches the process byte
//! for byte, and nothing else does.

use std::ffi::OsString;
use std::path::PathBuf;

use super::environment::PATH;
use super::{Account, Resource, WindowSize};

/// A process to be.
///
/// Built as `Spec { argv, env, ..Spec::default() }`, so that more can be said later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The program and its arguments. The program is looked up in `path` unless it holds a slash.
    pub argv: Vec<OsString>,
    /// The text of a script to run in the place of a program: `argv[0]` is then only its name.
    pub script: Option<Vec<u8>>,
    /// The complete environment (see [`clean_environment`](super::clean_environment)); the marker is added.
    pub env: Vec<(OsString, OsString)>,
    /// The directories in which `argv[0]` is looked up, as in `PATH`. Not taken from `env`, which the
    /// requester may add to; the clean one unless told otherwise.
    pub path: OsString,
    /// Where it runs. A relative program name (`./x`) counts from here.
    pub cwd: PathBuf,
    /// What it reads.
    pub stdin: Stdin,
    /// With a terminal of this size for its descriptors 0, 1 and 2, whatever `stdin` says. Our end is then
    /// both [`Process::stdin`](super::Process) and `stdout`, and there is no `stderr`.
    pub terminal: Option<WindowSize>,
    /// As whom it runs, with all of their groups; `None`: as who runs us. Takes root, but for oneself.
    pub user: Option<Account>,
    /// What it and each of its descendants may use.
    pub limits: Vec<Limit>,
    /// The job's name, handed down as [`MARKER`](super::MARKER) in the environment: descendants that left
    /// the session are recognised by it.
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

/// A bound on a resource, as `setrlimit(2)` has them. It never raises the bound that we are under ourselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What is bounded.
    pub resource: Resource,
    /// To so much: bytes, seconds of processor time, descriptors, processes of the user.
    pub at_most: u64,
}

/// What a process reads on descriptor 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stdin {
    /// `/dev/null`: end of input at once.
    #[default]
    Null,
    /// A pipe, of which [`Process::stdin`](super::Process) is the other end.
    Pipe,
}
