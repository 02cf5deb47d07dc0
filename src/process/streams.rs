//! Descriptors 0, 1 and 2 of a process to be, and our ends of them.
//!
//! And that of its script, if it has one. Invariant: all are closed on exec, ours do not block, and theirs
//! are numbered from 3, the script's from 4, so that putting one in its place overwrites none that comes after.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

use super::terminal::{Slave, Terminal};
use super::{Pipe, SpawnError, Spec, Stage, Stdin, script};

/// Our ends.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) stdin: Option<Pipe>,
    pub(super) stdout: Option<Pipe>,
    pub(super) stderr: Option<Pipe>,
    pub(super) slave: Option<Slave>,
}

/// Theirs, in the places they are meant for.
pub(super) struct Descriptors {
    pub(super) standard: [OwnedFd; 3],
    /// Goes to [`script::PLACE`].
    pub(super) script: Option<OwnedFd>,
}

/// Both.
pub(super) fn open(spec: &Spec) -> Result<(Streams, Descriptors), SpawnError> {
    let (ours, standard) = standard(spec)?;
    let script = spec.script.as_deref().map(script::hold).transpose();
    let script = script.map_err(SpawnError::of(Stage::Prepare))?;
    Ok((ours, Descriptors { standard, script }))
}

fn standard(spec: &Spec) -> Result<(Streams, [OwnedFd; 3]), SpawnError> {
    match spec.terminal {
        None => pipes(spec.stdin).map_err(SpawnError::of(Stage::Prepare)),
        Some(size) => {
            let owner = spec.user.as_ref().map(|user| user.uid);
            let terminal = Terminal::open(size, owner);
            let connected = terminal.and_then(connect);
            connected.map_err(SpawnError::of(Stage::Terminal))
        }
    }
}

fn pipes(stdin: Stdin) -> io::Result<(Streams, [OwnedFd; 3])> {
    let (our_stdin, stdin) = match stdin {
        Stdin::Null => (None, File::open("/dev/null")?.into()),
        Stdin::Pipe => {
            let (stdin, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            (Some(Pipe::new(ours)?), stdin)
        }
    };
    let (our_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (our_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let ours = Streams {
        stdin: our_stdin,
        stdout: Some(Pipe::new(our_stdout)?),
        stderr: Some(Pipe::new(our_stderr)?),
        slave: None,
    };
    Ok((ours, [from_3(stdin)?, from_3(stdout)?, from_3(stderr)?]))
}

/// One terminal in all three places.
fn connect(terminal: Terminal) -> io::Result<(Streams, [OwnedFd; 3])> {
    let Terminal { master, slave } = terminal;
    let theirs = [
        from_3(slave.try_clone()?)?,
        from_3(slave.try_clone()?)?,
        from_3(slave.try_clone()?)?,
    ];
    let ours = Streams {
        stdin: Some(Pipe::new(master.try_clone()?)?),
        stdout: Some(Pipe::new(master)?),
        stderr: None,
        slave: Some(Slave::new(slave)),
    };
    Ok((ours, theirs))
}

fn from_3(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= 3 {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, 3)?)
}
