//! What to run: everything `spawn` needs to know, and nothing it would have to guess.
//!
//! Not policy: whether it may run was decided before. Invariant: what is in here reaches the process byte
//! for byte, and nothing else does.

use std::ffi::OsString;
use std::path::PathBuf;

use super::environment::PATH;

/// A process to be.
///
/// Built as `Spec { argv, env, ..Spec::default() }`, so that more can be said later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The program and its arguments. The program is looked up in `path` unless it holds a slash.
    pub argv: Vec<OsString>,
    /// The complete environment (see [`clean_environment`](super::clean_environment)); the marker is added.
    pub env: Vec<(OsString, OsString)>,
    /// The directories in which `argv[0]` is looked up, as in `PATH`. Not taken from `env`, which the
    /// requester may add to; the clean one unless told otherwise.
    pub path: OsString,
    /// Where it runs. A relative program name (`./x`) counts from here.
    pub cwd: PathBuf,
    /// What it reads.
    pub stdin: Stdin,
    /// The job's name, handed down as [`MARKER`](super::MARKER) in the environment: descendants that left
    /// the session are recognised by it.
    pub marker: String,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            argv: Vec::new(),
            env: Vec::new(),
            path: PATH.into(),
            cwd: "/".into(),
            stdin: Stdin::Null,
            marker: String::new(),
        }
    }
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
