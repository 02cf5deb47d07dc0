//! A process that writes the file of the chat's history, so that the supervisor never waits for a file system.
//!
//! It is this program, executed again under the name [`NAME`]: it receives a line for each message and ends with its
//! input. Within another program it is a thread. Not what is kept, nor what waits for it. Invariant: the supervisor waits
//! for none of its system calls.

use std::ffi::OsString;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mio::Registry;
use rustix::event::{PollFd, PollFlags, poll};

use super::file::{self, HistoryFile};
use super::forgotten_rooms::ForgottenRooms;
use crate::agent::chat::History;
use crate::agent::ipc::SocketInterest;
use crate::agent::recorder::ignore_signals;
use crate::agent::supervisor::task_process::TaskProcess;
use crate::agent::supervisor::tokens;

/// Name under which this program writes the file, as its argument 0.
pub const NAME: &str = "udpagent-chat";

/// Bytes of the reason for a failure.
const REASON: usize = 1024;

/// Argument of a writer after one that has failed.
const AFTER_FAILURE: &str = "after-failure";

/// End of the writer before.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum After {
    /// It has written everything, or there was none.
    #[default]
    Success,
    /// It has failed, so that messages are sent again that it may have written.
    Failure,
}

/// A writer at work. Dropping it lets it end by itself, after it has written what it was sent.
pub(super) struct Writer {
    socket: UnixStream,
    interest: SocketInterest,
    /// The process, if it is one.
    process: Option<TaskProcess>,
    /// Line that is being sent, and the number of its bytes that were.
    line: Vec<u8>,
    sent: usize,
    reason: Vec<u8>,
    is_ending: bool,
}

impl Writer {
    /// Starts to write the file at `path`, after a writer that has failed or another one. `program` is executed; without it a thread is started. A process is added to
    /// `children`, which are to be reaped after their ends.
    ///
    /// # Errors
    /// The system has no process, thread or descriptor left.
    pub(super) fn start(
        program: Option<&PathBuf>,
        (path, most, after): (&Path, usize, After),
        registry: &Registry,
        children: &mut Vec<i32>,
    ) -> io::Result<Self> {
        let (socket, other) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let interest = SocketInterest::register(registry, socket.as_raw_fd(), tokens::WORKER)?;
        let process = if let Some(program) = program {
            let mut command = Command::new(program);
            command
                .arg0(NAME)
                .arg(path)
                .arg(most.to_string())
                .args((after == After::Failure).then_some(AFTER_FAILURE))
                // Control-C is for the supervisor, which lets the file be completed.
                .process_group(0)
                .stdin(Stdio::from(OwnedFd::from(other)))
                .stdout(Stdio::null());
            Some(TaskProcess::start(&mut command, children)?)
        } else {
            let path = path.to_owned();
            let thread = std::thread::Builder::new().name("chat".into());
            thread.spawn(move || work(&path, most, after, other))?;
            None
        };
        Ok(Self {
            socket,
            interest,
            process,
            line: Vec::new(),
            sent: 0,
            reason: Vec::new(),
            is_ending: false,
        })
    }

    /// Returns its process id, if it is a process.
    pub(super) fn pid(&self) -> Option<i32> {
        let process = self.process.as_ref();
        process.map(|process| process.pid().as_raw_pid())
    }

    /// Sends the marks of forgotten rooms and then waiting messages, which came after the marks of their rooms, as far as
    /// it takes them. Returns true if none is left.
    pub(super) fn send(&mut self, forgotten: &mut ForgottenRooms, waiting: &mut History) -> bool {
        if self.is_ending {
            return forgotten.is_sent() && waiting.is_empty();
        }
        loop {
            if self.sent == self.line.len() {
                let Some(entry) = forgotten.take_next().or_else(|| waiting.pop()) else {
                    return true;
                };
                (self.line, self.sent) = (file::line(&entry), 0);
            }
            match self.socket.write(&self.line[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Its end is noticed by a read.
                Err(_) => return false,
            }
        }
    }

    /// Requests a report of the poll once it takes more, if messages wait.
    pub(super) fn wait_for_room(&mut self, registry: &Registry, waiting: bool) -> io::Result<()> {
        self.interest.set_waiting(registry, waiting)
    }

    /// Lets it end after it has written what it was sent.
    pub(super) fn end(&mut self) {
        if !std::mem::replace(&mut self.is_ending, true) {
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// Returns the result once it has ended: everything is written, or the reason why it is not.
    pub(super) fn poll(&mut self) -> Option<Result<(), String>> {
        let mut buffer = [0; REASON];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) if self.reason.len() < REASON => self.reason.extend(&buffer[..length]),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => break,
            }
        }
        let reason = String::from_utf8_lossy(&self.reason);
        Some(match &reason[..] {
            "" if self.is_ending => Ok(()),
            "" => Err("the process that writes it has ended".to_owned()),
            reason => Err(reason.to_owned()),
        })
    }

    /// Waits until it takes more, or has ended, for a bounded time. Returns false if the time is over.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let flags = if self.is_ending {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        };
        // A signal only lets the caller look once more.
        let timeout = left.max(Duration::from_millis(1)).try_into().ok();
        let _ = poll(&mut [PollFd::new(&self.socket, flags)], timeout.as_ref());
        !left.is_zero()
    }

    /// Kills it.
    pub(super) fn kill(&self) {
        if let Some(process) = &self.process {
            process.kill();
        }
    }

    /// Removes it from a poll.
    pub(super) fn deregister(&self, registry: &Registry) {
        self.interest.deregister(registry);
    }
}

/// Writes the file of the arguments, its path and the largest number of messages of a room. Standard input is the socket.
///
/// # Errors
/// An argument is missing, or the socket or a signal cannot be used.
pub fn main(args: &[OsString]) -> io::Result<()> {
    ignore_signals()?;
    let _ = rustix::thread::set_name(c"udpagent-chat");
    let [_, path, most, rest @ ..] = args else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let after = match rest {
        [] => After::Success,
        _ => After::Failure,
    };
    let most = most.to_str().and_then(|most| most.parse().ok());
    let most = most.ok_or(io::ErrorKind::InvalidInput)?;
    let socket = rustix::stdio::stdin().try_clone_to_owned()?;
    work(Path::new(path), most, after, socket.into());
    Ok(())
}

fn work(path: &Path, most: usize, after: After, socket: UnixStream) {
    let mut reader = BufReader::new(socket);
    if let Err(error) = write(path, most, after, &mut reader) {
        // Without the supervisor, nobody is left to hear of it.
        let _ = reader.get_mut().write_all(error.to_string().as_bytes());
    }
}

fn write(path: &Path, most: usize, after: After, reader: &mut impl io::BufRead) -> io::Result<()> {
    let mut file = HistoryFile::open(path, most)?;
    if after == After::Failure {
        file.set_may_repeat();
    }
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(entry) = file::parse(&line) {
            file.append(entry)?;
        }
        line.clear();
    }
    Ok(())
}
