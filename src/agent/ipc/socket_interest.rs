//! A socket in a poll: always for reading, for writing only while something waits for room in it.
//!
//! Edge-triggered, a socket that is polled for writing wakes its owner each time the other side has read something.

use std::io;
use std::os::fd::RawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

/// Registration of a socket.
#[derive(Debug)]
pub struct SocketInterest {
    descriptor: RawFd,
    token: Token,
    writable: bool,
}

impl SocketInterest {
    /// Registers a socket for reading.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn register(registry: &Registry, descriptor: RawFd, token: Token) -> io::Result<Self> {
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        Ok(Self {
            descriptor,
            token,
            writable: false,
        })
    }

    /// Polls the socket for writing if something waits for room in it. A socket that has room by then is reported.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn set_waiting(&mut self, registry: &Registry, waiting: bool) -> io::Result<()> {
        if waiting == self.writable {
            return Ok(());
        }
        let interest = if waiting {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        registry.reregister(&mut SourceFd(&self.descriptor), self.token, interest)?;
        self.writable = waiting;
        Ok(())
    }

    /// Removes the socket from the poll.
    pub fn deregister(&self, registry: &Registry) {
        let _ = registry.deregister(&mut SourceFd(&self.descriptor));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn room_is_reported_only_while_something_waits_for_it() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let mut poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let mut interest = SocketInterest::register(&registry, one.as_raw_fd(), Token(1)).unwrap();
        let mut reported = |timeout| {
            let mut ready = mio::Events::with_capacity(4);
            poll.poll(&mut ready, Some(timeout)).unwrap();
            ready.iter().any(mio::event::Event::is_writable)
        };
        let mut exchange = |count: usize| {
            let mut sent = 0;
            while let Ok(length) = one.write(&vec![0; count - sent]) {
                sent += length;
                if sent == count {
                    break;
                }
            }
            other.read_exact(&mut vec![0; sent]).unwrap();
        };
        exchange(1);
        assert!(!reported(Duration::ZERO));
        interest.set_waiting(&registry, true).unwrap();
        assert!(reported(Duration::from_secs(60)));
        exchange(10 << 20);
        assert!(reported(Duration::from_secs(60)));
        interest.set_waiting(&registry, false).unwrap();
        exchange(1);
        assert!(!reported(Duration::ZERO));
        interest.set_waiting(&registry, true).unwrap();
        assert!(reported(Duration::from_secs(60)));
    }
}
