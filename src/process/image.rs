//! A `Spec` in the form that system calls take: pointers, numbers, files to try.
//!
//! Not the calls (`child`). Invariant: what cannot be said to the kernel, a NUL in an argument for one, is
//! refused here, before there is a child.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Gid, Rlimit, Uid, geteuid, getrlimit};

use super::environment::MARKER;
use super::{Account, Limit, Resource, SpawnError, Spec, Stage, script};

/// Everything that the child needs beside its descriptors.
pub(super) struct Image {
    /// The files to try, in order.
    pub(super) candidates: Vec<CString>,
    pub(super) cwd: CString,
    pub(super) argv: Strings,
    pub(super) env: Strings,
    /// Descriptor 0 is a terminal, to be the session's own.
    pub(super) on_terminal: bool,
    pub(super) limits: Vec<(Resource, Rlimit)>,
    pub(super) user: Option<Credentials>,
}

/// Whom to become.
pub(super) struct Credentials {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
}

impl Image {
    /// What `spec` comes down to.
    pub(super) fn new(spec: &Spec) -> Result<Self, SpawnError> {
        let refused = SpawnError::of(Stage::Execute);
        let program = spec.argv.first().ok_or(Errno::INVAL).map_err(&refused)?;
        let own = spec.script.as_deref().map(script::command);
        // The interpreter stands where it says, as the kernel has it; it is not looked up.
        let candidates = match own.iter().flatten().next() {
            Some(interpreter) => c_string(interpreter.as_slice()).map(|file| vec![file]),
            None => candidates(program, &spec.path),
        };
        let skipped = usize::from(own.is_some());
        let argv = own
            .into_iter()
            .flatten()
            .chain(
                spec.argv
                    .iter()
                    .skip(skipped)
                    .map(|arg| arg.as_bytes().to_vec()),
            )
            .map(c_string);
        let marker =
            (!spec.marker.is_empty()).then(|| variable(MARKER.as_ref(), spec.marker.as_ref()));
        let env = spec
            .env
            .iter()
            .filter(|(name, _)| name != MARKER)
            .map(|(name, value)| variable(name, value))
            .chain(marker);
        let cwd = c_string(spec.cwd.as_os_str().as_bytes());
        Ok(Self {
            candidates: candidates.map_err(&refused)?,
            cwd: cwd.map_err(SpawnError::of(Stage::Directory))?,
            argv: Strings::new(argv.collect::<Result<_, _>>().map_err(&refused)?),
            env: Strings::new(env.collect::<Result<_, _>>().map_err(&refused)?),
            on_terminal: spec.terminal.is_some(),
            limits: spec.limits.iter().map(rlimit).collect(),
            user: spec.user.as_ref().and_then(credentials),
        })
    }
}

/// Both the soft and the hard limit, and no higher than ours: only root could, and did not mean to.
fn rlimit(limit: &Limit) -> (Resource, Rlimit) {
    let ours = getrlimit(limit.resource).maximum.unwrap_or(u64::MAX);
    let value = Some(limit.at_most.min(ours));
    let both = Rlimit {
        current: value,
        maximum: value,
    };
    (limit.resource, both)
}

/// Nothing to do for who is that user already and could not change anything.
fn credentials(user: &Account) -> Option<Credentials> {
    let ourselves = geteuid();
    if !ourselves.is_root() && ourselves.as_raw() == user.uid {
        return None;
    }
    Some(Credentials {
        uid: Uid::from_raw(user.uid),
        gid: Gid::from_raw(user.gid),
        groups: user.groups().into_iter().map(Gid::from_raw).collect(),
    })
}

/// The files that `program` may mean. An empty element of the path is not taken for the current
/// directory, as POSIX would have it: that serves nobody but who plants programs there.
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

/// `NAME=value`.
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
