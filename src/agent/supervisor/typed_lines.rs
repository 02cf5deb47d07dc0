//! Lines typed at the prompt of the agent, for the line editor of the next front and of the next agent.
//!
//! Not the chat, which has them as messages. The file is read at the start and written by a process of its own. Invariants:
//! once the agent serves, nothing waits for the file; a line that the writer does not take is kept in memory only; a front
//! can keep no control characters, which would reach a terminal later.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, shutdown,
    socketpair,
};
use rustix::stdio::stdin;
use rustix::termios::isatty;

use super::task_process::TaskProcess;
use super::{Supervisor, limits};
use crate::agent::recorder::ignore_signals;
use crate::message::limits::CHAT_TEXT;
use crate::prompt::limits::{HISTORY_BYTES, HISTORY_LINES};
use crate::prompt::line_history::{EarlierLines as _, LineHistory};

/// Name of the program as the writer of the file, as its argument 0.
pub const NAME: &str = "udpagent-lines";

/// Bytes of the reason why a line is not written: a path of the greatest length and an error.
const REASON: usize = 4096 + 256;

/// Lines typed at the prompt.
#[derive(Default)]
pub(super) struct TypedLines {
    path: Option<PathBuf>,
    kept: VecDeque<String>,
    /// Bytes of these lines.
    bytes: usize,
    writer: Option<OwnedFd>,
    /// True if a failure was logged.
    has_failed: bool,
}

impl TypedLines {
    /// Returns the lines of a file, if there may be a prompt.
    fn open(path: &Path) -> Self {
        let mut lines = Self::default();
        if isatty(stdin()) {
            lines.path = Some(path.to_owned());
            for line in LineHistory::new(path.to_owned()).load() {
                lines.keep(line);
            }
        }
        lines
    }

    /// Returns the lines, oldest first.
    pub(super) fn all(&self) -> Vec<String> {
        self.kept.iter().cloned().collect()
    }

    /// Keeps a line in memory. Returns false if it is none of a prompt.
    fn keep(&mut self, line: String) -> bool {
        let is_shown = |c: char| c == '\t' || !c.is_control();
        if line.trim().is_empty() || line.len() > CHAT_TEXT || !line.chars().all(is_shown) {
            return false;
        }
        self.bytes += line.len();
        self.kept.push_back(line);
        while self.kept.len() > HISTORY_LINES || self.bytes > HISTORY_BYTES {
            let oldest = self.kept.pop_front();
            self.bytes -= oldest.map_or(0, |line| line.len());
        }
        true
    }

    /// Logs why the writer could not write, unless that was logged.
    fn take_failure(&mut self) {
        let mut reason = vec![0; REASON];
        if let Some(writer) = &self.writer
            && let Ok((length @ 1.., _)) = recv(writer, &mut reason[..], RecvFlags::DONTWAIT)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let reason = String::from_utf8_lossy(&reason[..length]);
            tracing::warn!("{reason}; lines typed at the prompt may not survive a restart");
        }
    }

    /// Passes a line to the writer. Without one, or if it does not take the line, the line is not written.
    fn write(&mut self, line: &str) {
        self.take_failure();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        if let Some(writer) = &self.writer
            && send(writer, line.as_bytes(), flags).is_err_and(|error| error == Errno::PIPE)
        {
            // It has ended. The next line starts another one.
            self.writer = None;
        }
    }

    /// Lets the writer write what it was sent, for a bounded time.
    pub(super) fn finish(&mut self) {
        let Some(writer) = &self.writer else {
            return;
        };
        let _ = shutdown(writer, Shutdown::Write);
        let until = Instant::now() + limits::CHAT_FILE_ENDS;
        // Its end closes the socket; a failure may come before. A signal is neither.
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = left.try_into().ok();
            let ended = poll(&mut [PollFd::new(writer, PollFlags::IN)], timeout.as_ref());
            if ended != Err(Errno::INTR) || left.is_zero() {
                break;
            }
        }
        self.take_failure();
        self.writer = None;
    }
}

impl Supervisor {
    /// Keeps the lines typed at the prompt in a file.
    pub fn set_typed_lines(&mut self, path: &Path) {
        self.terminal.typed = TypedLines::open(path);
    }

    /// Keeps a line typed at the prompt.
    pub(super) fn keep_typed(&mut self, line: &str) {
        if !self.terminal.typed.keep(line.to_owned()) {
            return;
        }
        if self.terminal.typed.writer.is_none() {
            // A line that cannot be written is no reason for more than that.
            self.terminal.typed.writer = self.start_line_writer().ok();
        }
        self.terminal.typed.write(line);
    }

    fn start_line_writer(&mut self) -> io::Result<OwnedFd> {
        let (Some(program), Some(path)) = (&self.own_program, &self.terminal.typed.path) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let flags = SocketFlags::CLOEXEC;
        let (own, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let mut command = Command::new(program);
        command
            .arg0(NAME)
            .arg(path)
            // Ctrl-C is for the supervisor.
            .process_group(0)
            .stdin(Stdio::from(other))
            .stdout(Stdio::null());
        TaskProcess::start(&mut command, &mut self.predecessors)?;
        Ok(own)
    }
}

/// Adds the lines that arrive on standard input to the file of the argument.
///
/// # Errors
/// The argument is missing, or the socket or a signal cannot be used.
pub fn main(args: &[OsString]) -> io::Result<()> {
    ignore_signals()?;
    let _ = rustix::thread::set_name(c"udpagent-lines");
    let [_, path] = args else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut history = LineHistory::new(path.into());
    let mut line = vec![0; CHAT_TEXT];
    let mut has_failed = false;
    loop {
        let (length, _) = recv(stdin(), &mut line[..], RecvFlags::empty())?;
        if length == 0 {
            return Ok(());
        }
        if let Err(reason) = history.add(&String::from_utf8_lossy(&line[..length]))
            && !std::mem::replace(&mut has_failed, true)
        {
            let reason = &reason.as_bytes()[..reason.len().min(REASON)];
            let _ = send(stdin(), reason, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_have_no_control_characters() {
        let mut lines = TypedLines::default();
        for refused in ["", "  ", "a\nb", "\u{1b}[2J", &"x".repeat(CHAT_TEXT + 1)] {
            assert!(!lines.keep(refused.to_owned()), "{refused:?}");
        }
        for number in 0..HISTORY_LINES + 5 {
            assert!(lines.keep(number.to_string()));
        }
        assert_eq!(lines.all().len(), HISTORY_LINES);
        assert_eq!(lines.all()[0], "5");
        for _ in 0..2 * HISTORY_BYTES / CHAT_TEXT {
            assert!(lines.keep("x".repeat(CHAT_TEXT)));
        }
        assert_eq!(lines.all().len(), HISTORY_BYTES / CHAT_TEXT);
    }
}
