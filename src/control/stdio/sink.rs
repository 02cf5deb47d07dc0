//! Streams of a run: the source of its input and the destinations of its outputs.
//!
//! Values only; [`Writer`](super::Writer) and [`Reader`](super::Reader) use them on their threads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::control::limits::{LEAVE, STDIN_PIPE};

/// Input and outputs of a run.
pub struct Streams {
    /// Input for the commands; `None` for an empty one.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Destination of the hosts' standard output, and of the reports on hosts.
    pub stdout: Sink,
    /// Destination of the hosts' standard error, and of messages.
    pub stderr: Sink,
}

impl Streams {
    /// Returns the standard streams of this process.
    ///
    /// # Errors
    /// If the process has no free file descriptor.
    pub fn of_process() -> io::Result<Self> {
        let sink = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(Sink::from);
        Ok(Self {
            stdin: Some(Box::new(StandardInput { grown: false })),
            stdout: sink(rustix::stdio::stdout())?,
            stderr: sink(rustix::stdio::stderr())?,
        })
    }
}

/// Standard input of this process. A pipe that brings much is made larger, so that its writer waits less often.
struct StandardInput {
    grown: bool,
}

impl Read for StandardInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = io::stdin().read(buffer)?;
        if length == buffer.len() && !std::mem::replace(&mut self.grown, true) {
            // Not a pipe, or the system refuses.
            let _ = rustix::pipe::fcntl_setpipe_size(rustix::stdio::stdin(), STDIN_PIPE);
        }
        Ok(length)
    }
}

/// Destination of an output.
#[derive(Clone)]
pub enum Sink {
    /// File descriptor. No wait happens inside a write where it allows that, so that the count of bytes written is
    /// exact at any moment.
    Descriptor(Arc<File>),
    /// Any other writer, which is flushed after each batch.
    Writer(Arc<Mutex<dyn Write + Send>>),
}

impl From<OwnedFd> for Sink {
    fn from(fd: OwnedFd) -> Self {
        Self::Descriptor(Arc::new(fd.into()))
    }
}

impl Sink {
    /// Creates a sink from a writer. A file or pipe is better passed as an [`OwnedFd`].
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self::Writer(Arc::new(Mutex::new(writer)))
    }

    /// Writes without the queue. Errors are ignored: the terminal may be gone, as after SIGHUP. A terminal that stays
    /// stopped, as by Ctrl-S, gets nothing, and a writer that is in use by its thread is left alone, because it may block.
    pub(in crate::control) fn write_now(&self, bytes: &[u8]) {
        let _ = match self {
            Self::Descriptor(file) if !is_ready(file) => Ok(()),
            Self::Descriptor(file) => (&**file).write_all(bytes),
            Self::Writer(writer) => match writer.try_lock() {
                Ok(mut writer) => writer.write_all(bytes).and_then(|()| writer.flush()),
                Err(_) => Ok(()),
            },
        };
    }
}

/// Waits until a file takes bytes, for a limited time. Returns true if it does.
fn is_ready(file: &File) -> bool {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let time = Timespec::try_from(LEAVE).ok();
    poll(&mut fds, time.as_ref()).is_ok_and(|count| count > 0)
}
