//! The description of a process to start.
//!
//! Not policy: authorization happens before. Invariant: the values reach the process byte for byte, and no
//! others do.

use std::ffi::OsString;
use std::path::PathBuf;

use super::environment::PATH;
use super::{Cgroup, CgroupLimits, Resource, User, WindowSize};

/// Program, variables and attributes of a process to start.
///
/// Build it as `Spec { argv, ..Spec::new(user) }`, so that fields can be added later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// File that is executed.
    pub executable: Executable,
    /// Variables to set in the user's environment (see [`clean_environment`](super::clean_environment)), to which
    /// TERM and the marker are added.
    pub variables: Vec<(OsString, OsString)>,
    /// Search path for `argv[0]`, in the format of `PATH`. The `PATH` of `variables` is not used, because a
    /// request may set it. The default is [`PATH`](super::PATH).
    pub path: OsString,
    /// Working directory, relative to the home directory. A relative program name (`./x`) is resolved in it.
    /// `None` stands for the home directory, or for `/` if that cannot be entered.
    pub cwd: Option<PathBuf>,
    /// Source of descriptor 0.
    pub stdin: Stdin,
    /// A terminal for descriptors 0, 1 and 2, which replaces `stdin`. The terminal's other end is both
    /// [`Process::stdin`](super::Process) and `stdout`, and there is no `stderr`.
    pub terminal: Option<Terminal>,
    /// User to run as.
    pub user: User,
    /// Resource limits of it and of each descendant.
    pub limits: Vec<Limit>,
    /// Limits of its cgroup, for the caller, who makes it.
    pub cgroup_limits: CgroupLimits,
    /// Cgroup in which it runs from its first instruction on.
    pub cgroup: Option<Cgroup>,
    /// Value of [`MARKER`](super::MARKER) in the environment, which identifies descendants that have left the
    /// session. Empty for none.
    pub marker: String,
}

impl Spec {
    /// Returns the specification of an empty command of this user in the home directory.
    #[must_use]
    pub fn new(user: User) -> Self {
        Self {
            argv: Vec::new(),
            executable: Executable::Named,
            variables: Vec::new(),
            path: PATH.into(),
            cwd: None,
            stdin: Stdin::Null,
            terminal: None,
            user,
            limits: Vec::new(),
            cgroup_limits: CgroupLimits::default(),
            cgroup: None,
            marker: String::new(),
        }
    }
}

/// File that a process executes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Executable {
    /// The one that `argv[0]` names. It is looked up in [`Spec::path`] unless it contains a slash.
    Named,
    /// The interpreter of a script with this text. `argv[0]` is then only the script's name.
    Script(Vec<u8>),
    /// The file that this program was executed from, whatever is in its place now and whether or not the user can reach
    /// its path; the user needs the right to execute it. `argv[0]` is then only a name.
    Own,
}

impl Executable {
    /// Returns the text of a script.
    #[must_use]
    pub fn script(&self) -> Option<&[u8]> {
        match self {
            Self::Script(text) => Some(text),
            Self::Named | Self::Own => None,
        }
    }
}

/// A terminal to start a process on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Size of its window.
    pub size: WindowSize,
    /// Value of TERM.
    pub term: OsString,
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
