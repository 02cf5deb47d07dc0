//! Sender of log lines, shared by the threads of a program.
//!
//! Not the format of a line ([`log_format`](super::log_format)). Invariant: a line is one packet, so that several
//! programs may send on one socket, one after the other or at the same time.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::frame::Wanted;
use super::limits::LINE;
use super::log_format;
use super::sender::Sender;
use crate::agent::config::LogFormat;

/// Sender of log lines. Clones share the socket.
#[derive(Clone, Debug)]
pub struct LogSender {
    sender: Arc<Mutex<Sender>>,
}

impl LogSender {
    /// Returns a sender of lines. The number of dropped lines is written in `format`.
    #[must_use]
    pub fn new(socket: OwnedFd, format: LogFormat) -> Self {
        let notice = move |lines| {
            let text = match lines {
                1 => "1 log line was dropped".to_owned(),
                _ => format!("{lines} log lines were dropped"),
            };
            log_format::line(format, tracing::Level::WARN, "dropped", &text)
        };
        let sender = Sender::new(socket, 1, Box::new(notice));
        let sender = Arc::new(Mutex::new(sender));
        Self { sender }
    }

    /// Sends a line with its line feed, or queues it; drops and counts it if the queue is full. Bytes after the
    /// first [`LINE`] are cut off.
    pub fn send(&self, line: &[u8]) {
        let line = &line[..line.len().min(LINE)];
        self.lock().push(line.to_vec(), Wanted::Nothing);
    }

    /// Sends queued lines as far as the socket has room. Call when the socket is writable.
    pub fn drain(&self) {
        self.lock().drain();
    }

    /// True if nothing waits to be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lock().is_idle()
    }

    /// Returns the lines that the recorder has not taken completely.
    #[must_use]
    pub fn unsent(&self) -> Vec<Vec<u8>> {
        self.lock().unsent()
    }

    /// True if the recorder has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed()
    }

    /// Number of lines that the recorder has never got, since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lock().lost()
    }

    /// Sends what waits, as far as the recorder accepts it within `time`.
    pub fn flush(&self, time: Duration) {
        self.lock().flush(time);
    }

    /// Lets the recorder see the end of these lines. No line follows.
    pub fn end(&self) {
        self.lock().end();
    }

    /// Returns a second descriptor of the socket, to wait until it is writable.
    ///
    /// # Errors
    /// Those of `dup(2)`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.lock().as_fd().try_clone_to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Sender> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call is one line, as `tracing_subscriber` makes it.
impl io::Write for LogSender {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.send(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
