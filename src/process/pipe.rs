//! The agent's end of a process's standard stream: of a pipe, or of its terminal.
//!
//! Not a buffer. Invariant: it is non-blocking and closed on exec, so that a slow process cannot block the
//! agent, and no other process holds the pipe open.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::tcsetwinsize;

use super::WindowSize;

/// A non-blocking descriptor that can be registered with a `mio::Poll`. Dropping it closes it: deregister first.
#[derive(Debug)]
pub struct Pipe(OwnedFd);

impl Pipe {
    /// Takes the descriptor of a pipe or terminal that another program has opened for a process.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        Ok(Self(fd))
    }

    /// Takes ownership of a descriptor that was opened without status flags, and makes it non-blocking.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        fcntl_setfl(&fd, OFlags::NONBLOCK)?;
        Ok(Self(fd))
    }

    /// Returns true if a read would return bytes or the end, without a wait.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Changes the size of the terminal's window. Its foreground processes get SIGWINCH.
    ///
    /// # Errors
    /// `ENOTTY` if it is not a terminal.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        Ok(tcsetwinsize(&self.0, size.into())?)
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.0, buf) {
            // The master of a terminal reads EIO after the last slave was closed.
            Err(Errno::IO) => Ok(0),
            read => Ok(read?),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Source for Pipe {
    fn register(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(registry, token, what)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(registry, token, what)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_the_end_are_readable_and_an_open_pipe_without_bytes_is_not() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut pipe = Pipe::new(reader).unwrap();
        assert!(!pipe.is_readable());
        rustix::io::write(&writer, b"x").unwrap();
        assert!(pipe.is_readable());
        assert_eq!(pipe.read(&mut [0; 2]).unwrap(), 1);
        assert!(!pipe.is_readable());
        drop(writer);
        assert!(pipe.is_readable());
    }
}
