//! One forwarded connection: a socket here, and the job that carries it to its destination.
//!
//! No loop and no poll: it is told when its socket may be ready, and reads and writes as far as that and the credit of the
//! job go. Invariants: bytes that are not written hold back those behind them, at the agent at last; the socket is closed
//! without a reset only if both directions have ended there.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};

use super::limits::{LINES, TURN};
use crate::control::client::Client;
use crate::control::exec::{Action, Output, RemoteJob, Report};
use crate::escape;
use crate::message::Outcome;
use crate::net::Refusal;
use crate::session::{Event, Ticket};

/// A forwarded connection.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub(super) struct Connection {
    socket: OwnedFd,
    job: RemoteJob,
    /// True if a read may find bytes.
    is_readable: bool,
    /// True if a write may find room.
    is_writable: bool,
    /// True once the socket has ended in the direction to the agent.
    has_ended: bool,
    /// Bytes for the socket.
    outgoing: VecDeque<Bytes>,
    /// Bytes that were written to the socket.
    written: u64,
    /// Number of bytes at which the destination has ended its direction.
    end: Option<u64>,
    /// True once the socket was told so.
    is_shut: bool,
    /// Lines of the service that are not complete, and its last error.
    lines: Vec<u8>,
    error: Option<String>,
    /// True if bytes are missing that were sent to the socket's side.
    is_broken: bool,
    /// True if the socket has failed or its user has left it.
    is_left: bool,
    report: Option<Report>,
}

/// End of a connection.
pub(super) enum End {
    /// Both directions have ended.
    Closed,
    /// The user of the socket has left it.
    Left,
    /// The connection was not made, or was broken off, for this reason.
    Failed(String),
}

impl Connection {
    /// Takes a connected socket, which does not block, and the job that is to carry it.
    pub(super) fn new(socket: OwnedFd, job: RemoteJob) -> Self {
        Self {
            socket,
            job,
            is_readable: true,
            is_writable: true,
            has_ended: false,
            outgoing: VecDeque::new(),
            written: 0,
            end: None,
            is_shut: false,
            lines: Vec::new(),
            error: None,
            is_broken: false,
            is_left: false,
            report: None,
        }
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Notes that its socket may be ready. `has_failed`: it has an error, which nothing else may show.
    pub(super) fn on_ready(&mut self, is_readable: bool, is_writable: bool, has_failed: bool) {
        self.is_readable |= is_readable;
        self.is_writable |= is_writable;
        if has_failed
            && self.has_ended
            && matches!(sockopt::socket_error(&self.socket), Ok(Err(_)) | Err(_))
        {
            self.leave();
        }
    }

    pub(super) fn on_event(&mut self, event: Event) {
        self.job.on_event(event);
    }

    pub(super) fn on_refused(&mut self, refusal: Refusal) -> Option<String> {
        self.job.on_refused(refusal)
    }

    /// Cancels the connection.
    pub(super) fn cancel(&mut self) {
        self.leave();
    }

    /// Reads and writes what there is, by way of `buffer`. Returns true if there may be more to do at once. `learned` gets
    /// a ticket.
    pub(super) fn proceed(
        &mut self,
        client: &Client,
        learned: &mut Option<Ticket>,
        buffer: &mut [u8],
    ) -> bool {
        let mut has_more = self.read(buffer);
        loop {
            while let Some(action) = self.job.poll() {
                match action {
                    Action::Command(command) => client.send(command),
                    Action::Learned(ticket) => *learned = Some(ticket),
                    action => self.take(action),
                }
            }
            if !self.write() {
                return has_more && self.report.is_none();
            }
            has_more |= self.is_readable;
        }
    }

    /// Returns the end of the connection, if it has come. The socket is closed accordingly when it is dropped.
    pub(super) fn end(&mut self, words: impl Fn(&Report) -> String) -> Option<End> {
        let report = self.report.as_ref()?;
        let is_whole = report.outcome == Some(Outcome::Exited { code: 0 }) && !self.is_broken;
        if is_whole && !self.is_left {
            return Some(End::Closed);
        }
        // Fails for a unix socket, which has no reset.
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
        if self.is_left {
            return Some(End::Left);
        }
        Some(End::Failed(
            self.error.take().unwrap_or_else(|| words(report)),
        ))
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Output(Output::Stdout, _, data) => self.outgoing.push_back(data),
            Action::Output(Output::Stderr, _, data) => {
                self.on_lines(&data);
                self.job.on_written(Output::Stderr, data.len() as u64);
            }
            Action::Gap(..) => self.is_broken = true,
            Action::Ended(report) => self.report = Some(report),
            Action::Command(_)
            | Action::Learned(_)
            | Action::Answered(_)
            | Action::Accepted { .. }
            | Action::Screen(_)
            | Action::Flush => {}
        }
    }

    /// Reads from the socket as long as the job takes bytes. Returns true if its turn is over before.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        for _ in 0..TURN {
            if !self.is_readable || self.has_ended || self.is_left || !self.job.wants_stdin() {
                return false;
            }
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => {
                    self.has_ended = true;
                    self.job.on_stdin(Bytes::new(), true);
                }
                Ok((length, _)) => {
                    // No more than what was read is held until it has arrived.
                    let data = Bytes::copy_from_slice(&buffer[..length]);
                    self.job.on_stdin(data, false);
                }
                Err(Errno::AGAIN) => self.is_readable = false,
                Err(Errno::INTR) => {}
                Err(_) => self.leave(),
            }
        }
        true
    }

    /// Writes to the socket. Returns true if the job may have something to do because of it.
    fn write(&mut self) -> bool {
        let before = self.written;
        while self.is_writable
            && !self.is_left
            && let Some(first) = self.outgoing.front_mut()
        {
            match send(
                &self.socket,
                first,
                SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            ) {
                Ok(length) => {
                    first.advance(length);
                    self.written += length as u64;
                    if first.is_empty() {
                        self.outgoing.pop_front();
                    }
                }
                Err(Errno::AGAIN) => self.is_writable = false,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.leave();
                    return true;
                }
            }
        }
        if self.end == Some(self.written) && !std::mem::replace(&mut self.is_shut, true) {
            let _ = shutdown(self.socket.as_fd(), Shutdown::Write);
        }
        let written = self.written - before;
        if written > 0 {
            self.job.on_written(Output::Stdout, written);
        }
        written > 0
    }

    /// Gives the connection up, because nobody is at the socket any more.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_left, true) {
            self.outgoing.clear();
            self.job.on_broken_pipe(Output::Stdout);
            self.job.cancel();
        }
    }

    /// Takes bytes of the lines of the service.
    fn on_lines(&mut self, data: &[u8]) {
        self.lines.extend_from_slice(data);
        while let Some(length) = self.lines.iter().position(|&byte| byte == b'\n') {
            let rest = self.lines.split_off(length + 1);
            let line = std::mem::replace(&mut self.lines, rest);
            let line = String::from_utf8_lossy(&line[..length]).into_owned();
            match line.strip_prefix("end ").map(str::parse) {
                Some(Ok(end)) => self.end = Some(end),
                Some(Err(_)) | None => {
                    self.error = Some(escape::line(line.as_bytes(), LINES).into_owned());
                }
            }
        }
        self.lines.truncate(LINES);
    }
}
