//! A `Spec` in the form that system calls take: pointers, numbers, files to try.
//!
//! Not the calls (`child`). Invariant: values that the kernel cannot take, such as a NUL in an argument, are
//! refused here, before any call.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Gid, Rlimit, Uid, getrlimit};

use super::environment::{MARKER, clean_environment};
use super::{Account, Executable, Limit, Resource, SpawnError, Spec, Stage, script};

/// Arguments of the child's system calls, except its descriptors.
pub(super) struct Image {
    /// Files to try, in order.
    pub(super) candidates: Vec<CString>,
    pub(super) directory: CString,
    /// True if the program runs in `/` when `directory` cannot be entered.
    pub(super) directory_is_optional: bool,
    /// True if the file of this program is executed, and no other.
    pub(super) executes_own: bool,
    pub(super) argv: Strings,
    pub(super) env: Strings,
    /// True if descriptor 0 is a terminal, to become the session's controlling terminal.
    pub(super) on_terminal: bool,
    pub(super) limits: Vec<(Resource, Rlimit)>,
    /// User to change to; `None` keeps that of the agent.
    pub(super) user: Option<Credentials>,
    /// User id in decimal, for the login uid.
    pub(super) login_uid: String,
}

/// User and groups to change to.
pub(super) struct Credentials {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
}

impl Image {
    /// Converts `spec` for a user: another one with its groups, or the agent's own.
    pub(super) fn new(
        spec: &Spec,
        account: &Account,
        groups: Option<&[u32]>,
    ) -> Result<Self, SpawnError> {
        let refused = SpawnError::of(Stage::Execute);
        let program = spec.argv.first().ok_or(Errno::INVAL).map_err(&refused)?;
        let interpreted = spec.executable.script().map(script::command);
        // As in the kernel, the interpreter's path is used as it is, without a lookup.
        let candidates = match (interpreted.iter().flatten().next(), &spec.executable) {
            (Some(interpreter), _) => c_string(interpreter.as_slice()).map(|file| vec![file]),
            (None, Executable::Own) => Ok(Vec::new()),
            (None, Executable::Named | Executable::Script(_)) => candidates(program, &spec.path),
        };
        let skipped = usize::from(interpreted.is_some());
        let argv = interpreted
            .into_iter()
            .flatten()
            .chain(
                spec.argv
                    .iter()
                    .skip(skipped)
                    .map(|arg| arg.as_bytes().to_vec()),
            )
            .map(c_string);
        let directory = match &spec.cwd {
            Some(cwd) => account.home.join(cwd),
            None => account.home.clone(),
        };
        let directory = c_string(directory.as_os_str().as_bytes());
        Ok(Self {
            candidates: candidates.map_err(&refused)?,
            executes_own: spec.executable == Executable::Own,
            directory: directory.map_err(SpawnError::of(Stage::Directory))?,
            directory_is_optional: spec.cwd.is_none(),
            argv: Strings::new(argv.collect::<Result<_, _>>().map_err(&refused)?),
            env: Strings::new(environment(spec, account)?),
            on_terminal: spec.terminal.is_some(),
            limits: spec.limits.iter().map(rlimit).collect(),
            user: groups.map(|groups| Credentials::new(account, groups)),
            login_uid: account.uid.to_string(),
        })
    }
}

impl Credentials {
    fn new(account: &Account, groups: &[u32]) -> Self {
        Self {
            uid: Uid::from_raw(account.uid),
            gid: Gid::from_raw(account.gid),
            groups: groups.iter().copied().map(Gid::from_raw).collect(),
        }
    }
}

/// Returns the complete environment.
fn environment(spec: &Spec, account: &Account) -> Result<Vec<CString>, SpawnError> {
    let requested = spec.variables.iter().map(|(name, value)| (name, value));
    let mut env = clean_environment(account, requested)
        .map_err(|_| SpawnError::of(Stage::Prepare)(Errno::PERM))?;
    if let Some(terminal) = &spec.terminal {
        env.retain(|(name, _)| name != "TERM");
        env.push(("TERM".into(), terminal.term.clone()));
    }
    if !spec.marker.is_empty() {
        env.push((MARKER.into(), spec.marker.clone().into()));
    }
    let strings = env.iter().map(|(name, value)| variable(name, value));
    let strings: Result<_, Errno> = strings.collect();
    strings.map_err(SpawnError::of(Stage::Execute))
}

/// Returns the soft and the hard limit. They never exceed the program's own hard limit, which only root could
/// raise.
fn rlimit(limit: &Limit) -> (Resource, Rlimit) {
    let own = getrlimit(limit.resource).maximum.unwrap_or(u64::MAX);
    let value = Some(limit.at_most.min(own));
    let both = Rlimit {
        current: value,
        maximum: value,
    };
    (limit.resource, both)
}

/// Returns the files that `program` may name. An empty element of the search path is ignored: POSIX reads it
/// as the current directory, where other users may place programs.
fn candidates(program: &OsStr, path: &OsStr) -> Result<Vec<CString>, Errno> {
    let program = program.as_bytes();
    if program.is_empty() {
        return Err(Errno::NOENT);
    }
    if program.contains(&b'/') {
        return Ok(vec![c_string(program)?]);
    }
    path.as_bytes()
        .split(|&byte| byte == b':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| c_string([directory, program].join(&b'/')))
        .collect()
}

/// Returns `NAME=value`.
fn variable(name: &OsStr, value: &OsStr) -> Result<CString, Errno> {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    if name.is_empty() || name.contains(&b'=') {
        return Err(Errno::INVAL);
    }
    c_string([name, value].join(&b'='))
}

fn c_string(bytes: impl Into<Vec<u8>>) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

/// A null-terminated array of C strings, and what it points to.
pub(super) struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    pub(super) fn new(owned: Vec<CString>) -> Self {
        let pointers = owned
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _owned: owned,
            pointers,
        }
    }

    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}
