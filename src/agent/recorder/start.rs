//! Start and end of the recorder's process.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use super::frame::{ANSWER, Answer};
use super::limits::START;
use super::sender::wait;
use super::settings::Settings;
use super::socket::{LOGS, pair};
use crate::agent::audit;
use crate::agent::config::LogFormat;

/// Name under which this program is the recorder.
pub const NAME: &str = "udpagent-recorder";

/// A recorder that runs.
#[derive(Debug)]
pub struct Recorder {
    /// Its process.
    pub pid: Pid,
    /// Socket of the audit records, for [`AuditSender`](super::AuditSender).
    pub records: OwnedFd,
    /// Sockets of log lines, for a [`LogSender`](super::LogSender) each.
    pub logs: [OwnedFd; LOGS],
}

/// Error of [`Recorder::start`].
#[derive(Debug)]
pub enum StartError {
    /// The file of required records cannot be appended to, for this reason.
    Audit(PathBuf, String),
    /// The process could not be started.
    System(io::Error),
    /// The process has ended, or does not answer.
    NoAnswer,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(path, reason) => write!(
                f,
                "{}: {reason}; audit = \"required\" lets nothing run without a record",
                path.display()
            ),
            Self::System(error) => write!(f, "cannot start the recorder: {error}"),
            Self::NoAnswer => {
                f.write_str("the recorder does not answer; look at the file system of audit-file")
            }
        }
    }
}

// The text contains that of the cause, so there is no `source`.
impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Recorder {
    /// Starts the recorder. Call before there are other threads: the descriptors of a process that is started at
    /// the same time could not be told apart.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(format: LogFormat, audit: Option<audit::Config>) -> Result<Self, StartError> {
        let file = audit.as_ref().and_then(|audit| audit.file.clone());
        let settings = Settings { format, audit };
        let (records, theirs) = pair()?;
        let (first, first_theirs) = pair()?;
        let (second, second_theirs) = pair()?;
        let pid = launch(&settings, theirs)?;
        let passed = [first_theirs.as_fd(), second_theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LOGS))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&passed));
        let packet = [IoSlice::new(&[0])];
        sendmsg(&records, &packet, &mut rights, SendFlags::NOSIGNAL).map_err(io::Error::from)?;
        match first_answer(&records) {
            Some(answer) if answer.written => {}
            Some(answer) => {
                return Err(StartError::Audit(file.unwrap_or_default(), answer.reason));
            }
            None => return Err(StartError::NoAnswer),
        }
        let logs = [first, second];
        Ok(Self { pid, records, logs })
    }

    /// Waits until a recorder has written what it was sent and has ended, for at most `time`. Its producers must
    /// have ended their sockets.
    pub fn wait(pid: Pid, time: Duration) {
        let until = Instant::now() + time;
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
            wait(handle.as_fd(), PollFlags::IN, until);
        }
        // If it still runs, its next parent collects it.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Executes this program again. The file itself may have been replaced or removed since it was executed.
fn launch(settings: &Settings, socket: OwnedFd) -> io::Result<Pid> {
    let command = |program: PathBuf, socket: OwnedFd| {
        Command::new(program)
            .arg0(NAME)
            .args(settings.to_args())
            .stdin(socket)
            .stdout(Stdio::null())
            .spawn()
    };
    let again = socket.try_clone()?;
    let child = match command("/proc/self/exe".into(), socket) {
        Ok(child) => child,
        // Without /proc, the name that this program was started with may still be found.
        Err(error) => match std::env::args_os().next() {
            Some(name) => command(name.into(), again)?,
            None => return Err(error),
        },
    };
    Ok(Pid::from_child(&child))
}

/// Receives the recorder's first answer.
fn first_answer(socket: &OwnedFd) -> Option<Answer> {
    let until = Instant::now() + START;
    if !wait(socket.as_fd(), PollFlags::IN, until) {
        return None;
    }
    let mut packet = [0; ANSWER];
    let (length, _) = recv(socket, &mut packet[..], RecvFlags::DONTWAIT).ok()?;
    Answer::parse(packet.get(..length)?).filter(|answer| answer.number == 0)
}
