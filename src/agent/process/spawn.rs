//! From a `Spec` to a running `Process`, or the exact reason why not.
//!
//! Not what happens between fork and exec: that is `child`. Invariant: when it fails, nothing has run,
//! and no process and no descriptor is left of the attempt.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Gid, PidfdFlags, Rlimit, Uid, WaitOptions, geteuid, getrlimit, kill_process_group, pidfd_open,
    waitpid,
};

use super::child::{self, Credentials, Image, SignalsBlocked, Strings};
use super::environment::MARKER;
use super::orphans::SpawnUnderWay;
use super::terminal::Terminal;
use super::{Account, Limit, Pid, Pipe, Process, Resource, Signal, Spec, Stdin, Tree, orphans};

/// Starts a process: in a session and process group of its own, with the environment given and no other,
/// with descriptors 0, 1 and 2 and no others, with default signal dispositions and an empty mask.
///
/// May be called from any thread; returns when `exec` has happened, so a file system that hangs blocks it.
/// The thread may end: nothing ties the process to it (which is why `PR_SET_PDEATHSIG` is not used).
///
/// # Errors
/// The step that failed and its error number, as `execve(2)` and its kin have it.
pub fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    let mut command = Command::new("/");
    image(spec)?.install(&mut command);
    let master = connect(&mut command, spec)?;

    let under_way = SpawnUnderWay::begin();
    let spawned = {
        let _blocked = SignalsBlocked::new();
        command.spawn()
    };
    // With it goes our copy of the terminal's other end.
    drop(command);
    let mut child = spawned.map_err(|error| {
        let number = error.raw_os_error().unwrap_or(libc::EINVAL);
        let (stage, errno) = child::parse_report(number);
        SpawnError { stage, errno }
    })?;
    match watch(&mut child, master, spec) {
        Ok(process) => {
            orphans::leaders().insert(process.pid());
            drop(under_way);
            Ok(process)
        }
        Err(error) => {
            // Hardly possible: `command.spawn` has just given back more descriptors than are needed. But
            // a process that cannot be watched must not go on. The wait is short: it is being killed.
            let leader = Pid::from_child(&child);
            let _ = kill_process_group(leader, Signal::KILL);
            let _ = waitpid(Some(leader), WaitOptions::empty());
            Err(SpawnError::of(Stage::Prepare)(error))
        }
    }
}

/// Says what the child's three descriptors are; returns our end of the terminal, if it is one.
fn connect(command: &mut Command, spec: &Spec) -> Result<Option<OwnedFd>, SpawnError> {
    if let Some(size) = spec.terminal {
        let failed = SpawnError::of(Stage::Terminal);
        let owner = spec.user.as_ref().map(|user| user.uid);
        let Terminal { master, slave } = Terminal::open(size, owner).map_err(&failed)?;
        command.stdin(slave.try_clone().map_err(&failed)?);
        command.stdout(slave.try_clone().map_err(&failed)?);
        command.stderr(slave);
        return Ok(Some(master));
    }
    command.stdin(match spec.stdin {
        Stdin::Null => Stdio::null(),
        Stdin::Pipe => Stdio::piped(),
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(None)
}

fn watch(child: &mut Child, master: Option<OwnedFd>, spec: &Spec) -> io::Result<Process> {
    let leader = Pid::from_child(child);
    let pidfd = pidfd_open(leader, PidfdFlags::empty())?;
    let tree = Tree::new(leader, spec);
    if let Some(master) = master {
        let stdin = Pipe::new(master.try_clone()?)?;
        let stdout = Pipe::new(master)?;
        return Ok(Process::new(tree, pidfd, Some(stdin), Some(stdout), None));
    }
    let stdin = child.stdin.take().map(|fd| Pipe::new(fd.into()));
    let stdout = child.stdout.take().map(|fd| Pipe::new(fd.into()));
    let stderr = child.stderr.take().map(|fd| Pipe::new(fd.into()));
    Ok(Process::new(
        tree,
        pidfd,
        stdin.transpose()?,
        stdout.transpose()?,
        stderr.transpose()?,
    ))
}

fn image(spec: &Spec) -> Result<Image, SpawnError> {
    let refused = SpawnError::of(Stage::Execute);
    let program = spec.argv.first().ok_or(Errno::INVAL).map_err(&refused)?;
    let argv = spec.argv.iter().map(|arg| c_string(arg.as_bytes()));
    let marker = (!spec.marker.is_empty()).then(|| variable(MARKER.as_ref(), spec.marker.as_ref()));
    let env = spec
        .env
        .iter()
        .filter(|(name, _)| name != MARKER)
        .map(|(name, value)| variable(name, value))
        .chain(marker);
    let cwd = c_string(spec.cwd.as_os_str().as_bytes());
    Ok(Image {
        candidates: candidates(program, &spec.path).map_err(&refused)?,
        cwd: cwd.map_err(SpawnError::of(Stage::Directory))?,
        argv: Strings::new(argv.collect::<Result<_, _>>().map_err(&refused)?),
        env: Strings::new(env.collect::<Result<_, _>>().map_err(&refused)?),
        on_terminal: spec.terminal.is_some(),
        limits: spec.limits.iter().map(rlimit).collect(),
        user: spec.user.as_ref().and_then(credentials),
    })
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

/// Why a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// What was being done.
    pub stage: Stage,
    /// The operating system's error number, e.g. `ENOENT` for a program that is not there.
    pub errno: i32,
}

impl SpawnError {
    fn of<E: Into<io::Error>>(stage: Stage) -> impl Fn(E) -> Self {
        move |error| Self {
            stage,
            errno: error.into().raw_os_error().unwrap_or(libc::EINVAL),
        }
    }
}

/// A step on the way to a running process, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Stage {
    /// Pipes, fork: our own resources.
    Prepare = 0,
    /// Getting a terminal.
    Terminal = 1,
    /// Limiting its resources.
    Limits = 2,
    /// Becoming its user.
    User = 3,
    /// Entering the working directory.
    Directory = 4,
    /// Finding and executing the program.
    Execute = 5,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Prepare => "cannot prepare a process",
            Stage::Terminal => "cannot open a terminal",
            Stage::Limits => "cannot limit its resources",
            Stage::User => "cannot become its user",
            Stage::Directory => "cannot enter the working directory",
            Stage::Execute => "cannot execute the program",
        };
        let error = io::Error::from_raw_os_error(self.errno);
        write!(f, "{what}: {error}")
    }
}

impl std::error::Error for SpawnError {}
