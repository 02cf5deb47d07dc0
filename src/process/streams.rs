//! Descriptors 0, 1 and 2 of a process to start, that of its script or file, its report pipe, and the agent's ends.
//!
//! Invariant: all are closed on exec, and the agent's ends do not block. The child's ends have numbers from
//! 3 on, the script's or file's from 4 on, so that copying one to its final number overwrites no later one.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

use super::terminal::{PseudoTerminal, Slave};
use super::{Cgroup, Executable, Pipe, SpawnError, Spec, Stage, Stdin, own_file, script};

/// The agent's ends.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) stdin: Option<Pipe>,
    pub(super) stdout: Option<Pipe>,
    pub(super) stderr: Option<Pipe>,
    pub(super) slave: Option<Slave>,
}

/// The child's ends, in the order of their final numbers.
pub(super) struct Descriptors {
    pub(super) standard: [OwnedFd; 3],
    /// Copied to [`script::DESCRIPTOR`].
    pub(super) file: Option<PassedFile>,
    /// Writing end of the report pipe, copied to the next number and closed on exec.
    pub(super) report: OwnedFd,
    /// Directory of the cgroup that the child is to be in.
    pub(super) cgroup: Option<OwnedFd>,
}

/// A file that the child executes or that its interpreter reads.
pub(super) enum PassedFile {
    /// The script, which the interpreter inherits.
    Script(OwnedFd),
    /// The file of this program, which is closed on exec.
    Own(OwnedFd),
}

impl PassedFile {
    fn open(executable: &Executable) -> Result<Option<Self>, SpawnError> {
        match executable {
            Executable::Named => Ok(None),
            Executable::Script(text) => match script::open(text) {
                Ok(file) => Ok(Some(Self::Script(file))),
                Err(error) => Err(SpawnError::of(Stage::Prepare)(error)),
            },
            Executable::Own => match own_file::open() {
                Ok(file) => Ok(Some(Self::Own(file))),
                Err(errno) => Err(SpawnError::of(Stage::Execute)(errno)),
            },
        }
    }
}

/// Opens both ends of everything: the streams, the reading end of the report pipe, and the child's ends.
pub(super) fn open(spec: &Spec) -> Result<(Streams, Pipe, Descriptors), SpawnError> {
    let (streams, standard) = standard(spec)?;
    let file = PassedFile::open(&spec.executable)?;
    let (reader, report) = report().map_err(SpawnError::of(Stage::Prepare))?;
    let cgroup = spec.cgroup.as_ref().map(Cgroup::open).transpose();
    let descriptors = Descriptors {
        standard,
        file,
        report,
        cgroup: cgroup.map_err(SpawnError::of(Stage::Prepare))?,
    };
    Ok((streams, reader, descriptors))
}

/// Opens a report pipe. The writing end has a number above its final one, so that copying the others does not
/// overwrite it.
fn report() -> io::Result<(Pipe, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let writer = fcntl_dupfd_cloexec(&writer, script::DESCRIPTOR + 2)?;
    Ok((Pipe::new(reader)?, writer))
}

fn standard(spec: &Spec) -> Result<(Streams, [OwnedFd; 3]), SpawnError> {
    match &spec.terminal {
        None => pipes(spec.stdin).map_err(SpawnError::of(Stage::Prepare)),
        Some(terminal) => {
            let terminal = PseudoTerminal::open(terminal.size);
            let connected = terminal.and_then(connect);
            connected.map_err(SpawnError::of(Stage::Terminal))
        }
    }
}

fn pipes(stdin: Stdin) -> io::Result<(Streams, [OwnedFd; 3])> {
    let (stdin_writer, stdin) = match stdin {
        Stdin::Null => (None, File::open("/dev/null")?.into()),
        Stdin::Pipe => {
            let (stdin, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            (Some(Pipe::new(writer)?), stdin)
        }
    };
    let (stdout_reader, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr_reader, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let streams = Streams {
        stdin: stdin_writer,
        stdout: Some(Pipe::new(stdout_reader)?),
        stderr: Some(Pipe::new(stderr_reader)?),
        slave: None,
    };
    Ok((streams, [from_3(stdin)?, from_3(stdout)?, from_3(stderr)?]))
}

/// Uses one terminal for all three streams.
fn connect(terminal: PseudoTerminal) -> io::Result<(Streams, [OwnedFd; 3])> {
    let PseudoTerminal { master, slave } = terminal;
    let child_ends = [
        from_3(slave.try_clone()?)?,
        from_3(slave.try_clone()?)?,
        from_3(slave.try_clone()?)?,
    ];
    let streams = Streams {
        stdin: Some(Pipe::new(master.try_clone()?)?),
        stdout: Some(Pipe::new(master)?),
        stderr: None,
        slave: Some(Slave::new(slave)),
    };
    Ok((streams, child_ends))
}

/// Moves a descriptor to a number from 3 on.
fn from_3(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= 3 {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, 3)?)
}
