//! From a `Spec` to a running `Process`, or the exact reason why not.
//!
//! Not what happens between fork and exec: that is `child`. Invariant: when it fails, nothing has run,
//! and no process and no descriptor is left of the attempt.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{PidfdFlags, WaitOptions, kill_process_group, pidfd_open, waitpid};

use super::child::{self, Image, SignalsBlocked};
use super::environment::MARKER;
use super::orphans::SpawnUnderWay;
use super::{Pid, Pipe, Process, Signal, Spec, Stdin, Tree, orphans};

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
    command.stdin(match spec.stdin {
        Stdin::Null => Stdio::null(),
        Stdin::Pipe => Stdio::piped(),
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());

    let under_way = SpawnUnderWay::begin();
    let spawned = {
        let _blocked = SignalsBlocked::new();
        command.spawn()
    };
    let mut child = spawned.map_err(|error| {
        let number = error.raw_os_error().unwrap_or(libc::EINVAL);
        let (stage, errno) = child::parse_report(number);
        SpawnError { stage, errno }
    })?;
    match watch(&mut child, &spec.marker) {
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
            Err(SpawnError {
                stage: Stage::Prepare,
                errno: error.raw_os_error().unwrap_or(libc::EINVAL),
            })
        }
    }
}

fn watch(child: &mut Child, marker: &str) -> io::Result<Process> {
    let leader = Pid::from_child(child);
    let pidfd = pidfd_open(leader, PidfdFlags::empty())?;
    let stdin = child.stdin.take().map(|fd| Pipe::new(fd.into()));
    let stdout = child.stdout.take().map(|fd| Pipe::new(fd.into()));
    let stderr = child.stderr.take().map(|fd| Pipe::new(fd.into()));
    Ok(Process::new(
        Tree::new(leader, marker),
        pidfd,
        stdin.transpose()?,
        stdout.transpose()?,
        stderr.transpose()?,
    ))
}

/// All that the child needs, in the form that system calls take.
fn image(spec: &Spec) -> Result<Image, SpawnError> {
    let refuse = |stage, errno: Errno| SpawnError {
        stage,
        errno: errno.raw_os_error(),
    };
    let program = spec
        .argv
        .first()
        .ok_or(refuse(Stage::Execute, Errno::INVAL))?;
    let argv = spec.argv.iter().map(|arg| c_string(arg.as_bytes()));
    let marker = (!spec.marker.is_empty()).then(|| variable(MARKER.as_ref(), spec.marker.as_ref()));
    let env = spec
        .env
        .iter()
        .filter(|(name, _)| name != MARKER)
        .map(|(name, value)| variable(name, value));
    let argv = argv.collect::<Result<_, _>>();
    let env = env.chain(marker).collect::<Result<_, _>>();
    Ok(Image::new(
        candidates(program, &spec.path).map_err(|errno| refuse(Stage::Execute, errno))?,
        c_string(spec.cwd.as_os_str().as_bytes())
            .map_err(|errno| refuse(Stage::Directory, errno))?,
        argv.map_err(|errno| refuse(Stage::Execute, errno))?,
        env.map_err(|errno| refuse(Stage::Execute, errno))?,
    ))
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

/// A step on the way to a running process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Stage {
    /// Pipes, fork: our own resources.
    Prepare = 0,
    /// Entering the working directory.
    Directory = 1,
    /// Finding and executing the program.
    Execute = 2,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Prepare => "cannot prepare a process",
            Stage::Directory => "cannot enter the working directory",
            Stage::Execute => "cannot execute the program",
        };
        let error = io::Error::from_raw_os_error(self.errno);
        write!(f, "{what}: {error}")
    }
}

impl std::error::Error for SpawnError {}
