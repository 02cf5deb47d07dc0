//! Start and end of the recorder's process.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, pread};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use super::frame::{ANSWER, Answer, HEADER, first_whole};
use super::limits::START;
use super::sender::wait;
use super::settings::Settings;
use super::socket::{ENDS, LOGS, pair};
use crate::agent::audit;
use crate::agent::config::LogFormat;

/// Name under which this program is the recorder.
pub const NAME: &str = "udpagent-recorder";

/// A recorder that runs, and the producers' ends of its sockets.
#[derive(Debug)]
pub struct Recorder {
    /// Its process.
    pub process: RecorderProcess,
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
        let (records, theirs) = pair()?;
        let (first, first_theirs) = pair()?;
        let (second, second_theirs) = pair()?;
        let progress = memfd_create("udpagent-records", MemfdFlags::CLOEXEC);
        let ends = [
            theirs,
            first_theirs,
            second_theirs,
            progress.map_err(io::Error::from)?,
        ];
        let mut process = RecorderProcess::start(Settings { format, audit }, ends)?;
        match process.first_answer() {
            Some(answer) if answer.written => {}
            Some(answer) => {
                return Err(StartError::Audit(file.unwrap_or_default(), answer.reason));
            }
            None => return Err(StartError::NoAnswer),
        }
        let logs = [first, second];
        Ok(Self {
            process,
            records,
            logs,
        })
    }
}

/// Process id of the present recorder. Clones share it.
#[derive(Clone, Debug)]
pub struct RecorderPid(Arc<AtomicI32>);

impl RecorderPid {
    /// Waits until the recorder has written what it was sent and has ended, for at most `time`. Its producers must
    /// have ended their sockets.
    pub fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        let Some(pid) = Pid::from_raw(self.0.load(Ordering::SeqCst)) else {
            return;
        };
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
            wait(handle.as_fd(), PollFlags::IN, until);
        }
        // If it still runs, its next parent collects it.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Change of the state of a recorder.
#[derive(PartialEq, Eq, Debug)]
pub enum RecorderEvent {
    /// It writes.
    Started,
    /// It cannot write, for this reason.
    Failed(String),
    /// It could not write this number of records, and has logged the reason.
    Unwritten(u64),
    /// It has ended. It can be [started again](RecorderProcess::restart).
    Ended,
}

/// Numbers of records where a recorder has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The last record that is written.
    pub written: u64,
    /// The first record that the next recorder gets whole. Those between are lost.
    pub next: u64,
}

/// The process of the recorder, and its ends of the sockets, which another one can continue with: what it had not taken
/// from them is not lost with it.
#[derive(Debug)]
pub struct RecorderProcess {
    settings: Settings,
    /// Sockets of records and of log lines, and the file of its progress.
    ends: [OwnedFd; ENDS],
    /// Connection to the process; `None` once it has ended.
    control: Option<OwnedFd>,
    pid: RecorderPid,
}

impl RecorderProcess {
    fn start(settings: Settings, ends: [OwnedFd; ENDS]) -> io::Result<Self> {
        let mut process = Self {
            settings,
            ends,
            control: None,
            pid: RecorderPid(Arc::new(AtomicI32::new(0))),
        };
        process.restart()?;
        Ok(process)
    }

    /// Starts another process, after the one before has ended. [`poll`](Self::poll) reports whether it writes.
    ///
    /// # Errors
    /// The system has no process or descriptor left.
    pub fn restart(&mut self) -> io::Result<()> {
        let (control, theirs) = pair()?;
        // Before the process exists, so that there is none if this fails.
        let passed = self.ends.each_ref().map(|end| end.as_fd());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ENDS))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&passed));
        let packet = [IoSlice::new(&[0])];
        sendmsg(&control, &packet, &mut rights, SendFlags::NOSIGNAL)?;
        let pid = launch(&self.settings, theirs)?;
        self.pid.0.store(pid.as_raw_pid(), Ordering::SeqCst);
        self.control = Some(control);
        Ok(())
    }

    /// Returns the position of a recorder that has ended. `unsent` is the number of the first record of which nothing is
    /// sent.
    #[must_use]
    pub fn position(&self, unsent: u64) -> Position {
        let [records, .., progress] = &self.ends;
        let mut packet = [0; HEADER];
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        let left = recv(records, &mut packet[..], flags);
        let left = left
            .ok()
            .and_then(|(length, _)| first_whole(packet.get(..length)?));
        let mut last = [0; 8];
        let length = pread(progress, &mut last, 0).unwrap_or(0);
        Position {
            written: if length == last.len() {
                u64::from_le_bytes(last)
            } else {
                0
            },
            next: left.unwrap_or(unsent),
        }
    }

    /// Returns the process id of the present recorder.
    #[must_use]
    pub fn pid(&self) -> RecorderPid {
        self.pid.clone()
    }

    /// Returns its number.
    #[must_use]
    pub fn raw_pid(&self) -> i32 {
        self.pid.0.load(Ordering::SeqCst)
    }

    /// Returns the descriptor that becomes readable when [`poll`](Self::poll) has something to report.
    #[must_use]
    pub fn control(&self) -> Option<BorrowedFd<'_>> {
        self.control.as_ref().map(OwnedFd::as_fd)
    }

    /// Returns what has become of it since the last call.
    pub fn poll(&mut self) -> Option<RecorderEvent> {
        let control = self.control.as_ref()?;
        let mut packet = [0; ANSWER];
        match recv(control, &mut packet[..], RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            Ok((length @ 1.., _)) => {
                let answer = packet.get(..length).and_then(Answer::parse)?;
                Some(match answer {
                    Answer {
                        number: 0,
                        written: true,
                        ..
                    } => RecorderEvent::Started,
                    Answer {
                        number: 0, reason, ..
                    } => RecorderEvent::Failed(reason),
                    Answer { number, .. } => RecorderEvent::Unwritten(number),
                })
            }
            Ok(_) | Err(_) => {
                self.control = None;
                Some(RecorderEvent::Ended)
            }
        }
    }

    /// Receives its first answer.
    fn first_answer(&mut self) -> Option<Answer> {
        let control = self.control.as_ref()?;
        let until = Instant::now() + START;
        if !wait(control.as_fd(), PollFlags::IN, until) {
            return None;
        }
        let mut packet = [0; ANSWER];
        let (length, _) = recv(control, &mut packet[..], RecvFlags::DONTWAIT).ok()?;
        Answer::parse(packet.get(..length)?).filter(|answer| answer.number == 0)
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

#[cfg(test)]
mod tests {
    use rustix::io::pwrite;
    use rustix::net::send;

    use super::super::frame::{Wanted, encode};
    use super::super::limits::FRAGMENT;
    use super::*;

    #[test]
    fn the_position_of_a_dead_recorder_is_that_of_the_next_whole_record() {
        let (ours, theirs) = pair().unwrap();
        let file = || memfd_create("progress", MemfdFlags::CLOEXEC).unwrap();
        let process = RecorderProcess {
            settings: Settings {
                format: LogFormat::Text,
                audit: None,
            },
            ends: [theirs, file(), file(), file()],
            control: None,
            pid: RecorderPid(Arc::default()),
        };
        let at = |written, next| Position { written, next };
        assert_eq!(process.position(1), at(0, 1));
        pwrite(&process.ends[3], &3_u64.to_le_bytes(), 0).unwrap();
        assert_eq!(process.position(6), at(3, 6));
        let bytes = vec![7; FRAGMENT + 1];
        let (mut packet, mut from) = (Vec::new(), 0);
        while from < bytes.len() {
            from = encode(6, Wanted::Nothing, &bytes, from, &mut packet);
            send(&ours, &packet, SendFlags::empty()).unwrap();
        }
        assert_eq!(process.position(7), at(3, 6));
        // It has taken the beginning of a record with it.
        let mut taken = vec![0; FRAGMENT + HEADER];
        recv(&process.ends[0], &mut taken[..], RecvFlags::empty()).unwrap();
        assert_eq!(process.position(7), at(3, 7));
    }
}
