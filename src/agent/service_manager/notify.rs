//! Messages to the service manager.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::time::{ClockId, clock_gettime};

use super::passed::STORED;
use crate::time::Instant;

/// Delay before a message is sent again that the service manager had no room for.
const RETRY: Duration = Duration::from_millis(100);

/// Messages that wait for room. Older ones are out of date.
const QUEUED: usize = 8;

/// Descriptors of one message: the kernel takes 253 (`SCM_MAX_FD`).
const DESCRIPTORS: usize = 250;

/// State of the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its sockets are bound and its front serves.
    Ready,
    /// It loads its files again.
    Reloading,
    /// It ends.
    Stopping,
}

/// Connection to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct ServiceManager {
    address: Option<SocketAddr>,
    /// Half of the time after which the service manager takes a silent agent for hung.
    interval: Option<Duration>,
    /// Time of the next sign of life.
    next: Instant,
    queue: VecDeque<String>,
    retry: Option<Instant>,
    state: Option<State>,
}

impl ServiceManager {
    /// Finds the service manager by `NOTIFY_SOCKET`, and its watchdog by `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is no address of a socket.
    pub fn from_environment() -> io::Result<Self> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let mut manager = Self::at(&name)?;
        let variable = |name| std::env::var(name).ok();
        manager.interval = watchdog(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Ok(manager)
    }

    /// Returns a connection to the service manager at `name`: a path, or `@` and a name of the abstract name space.
    ///
    /// # Errors
    /// The name is no address of a socket.
    pub fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self {
            address: Some(address),
            ..Self::default()
        })
    }

    /// Returns true if there is one.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        self.address.is_some()
    }

    /// Sends a changed state.
    pub fn notify(&mut self, now: Instant, state: State) {
        if self.state == Some(state) || self.address.is_none() {
            return;
        }
        self.state = Some(state);
        let message = match state {
            State::Ready => "READY=1".to_owned(),
            State::Stopping => "STOPPING=1".to_owned(),
            // The manager compares the time with that of its request.
            State::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()),
        };
        self.enqueue(now, message);
    }

    /// Sends a sign of life if it is due, and what waits for room.
    pub fn on_timeout(&mut self, now: Instant) {
        if let Some(interval) = self.interval
            && self.next <= now
        {
            self.next = now + interval;
            self.enqueue(now, "WATCHDOG=1".to_owned());
        }
        if self.retry.is_some_and(|at| at <= now) {
            self.flush(now);
        }
    }

    /// Returns the time at which [`on_timeout`](Self::on_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let life = self.interval.map(|_| self.next);
        life.into_iter().chain(self.retry).min()
    }

    /// Lets the service manager keep descriptors under a name, until the agent is started again or the unit is
    /// stopped. They are passed to the next agent, see [`Passed::stored`](super::Passed::stored), also those of pipes
    /// whose other end is closed. The name consists of letters, digits and `-`.
    ///
    /// # Errors
    /// There is no service manager, or it has no room.
    pub fn store(&self, name: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let message = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={STORED}{name}");
        for chunk in descriptors.chunks(DESCRIPTORS) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(chunk));
            self.send(&message, &mut control)?;
        }
        Ok(())
    }

    /// Lets the service manager close the descriptors that it keeps under a name.
    ///
    /// # Errors
    /// There is no service manager, or it has no room.
    pub fn discard(&self, name: &str) -> io::Result<()> {
        let message = format!("FDSTOREREMOVE=1\nFDNAME={STORED}{name}");
        self.send(&message, &mut SendAncillaryBuffer::default())
    }

    fn enqueue(&mut self, now: Instant, message: String) {
        if self.queue.len() == QUEUED {
            self.queue.pop_front();
        }
        self.queue.push_back(message);
        self.flush(now);
    }

    fn flush(&mut self, now: Instant) {
        self.retry = None;
        while let Some(message) = self.queue.front() {
            match self.send(message, &mut SendAncillaryBuffer::default()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.retry = Some(now + RETRY);
                    return;
                }
                Ok(()) => {}
                Err(error) => tracing::warn!("the service manager takes no message: {error}"),
            }
            self.queue.pop_front();
        }
    }

    /// Sends one message, from a socket of its own, as the manager may have been replaced.
    fn send(&self, message: &str, control: &mut SendAncillaryBuffer<'_, '_, '_>) -> io::Result<()> {
        let address = self.address.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(address)?;
        let message = [IoSlice::new(message.as_bytes())];
        sendmsg(socket.as_fd(), &message, control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Returns half of the watchdog's time, if it is meant for this process.
fn watchdog(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let usec: u64 = usec?.parse().ok()?;
    (usec > 0).then(|| Duration::from_micros(usec) / 2)
}

fn monotonic_usec() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let since_boot = Duration::try_from(now).unwrap_or_default();
    u64::try_from(since_boot.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_half_its_time_and_only_that_of_this_process() {
        let half = |usec, pid| watchdog(usec, pid, 7).map(|half| half.as_micros());
        assert_eq!(half(Some("30000000"), Some("7")), Some(15_000_000));
        assert_eq!(half(Some("3"), None), Some(1));
        assert_eq!(half(Some("30000000"), Some("8")), None);
        for usec in [None, Some(""), Some("0"), Some("-1"), Some("x")] {
            assert_eq!(half(usec, Some("7")), None, "{usec:?}");
        }
    }

    #[test]
    fn an_address_is_a_path_or_an_abstract_name() {
        assert!(ServiceManager::at("/run/systemd/notify".as_ref()).is_ok());
        assert!(ServiceManager::at("@abstract".as_ref()).is_ok());
        for name in ["", "relative", "vsock:2:1234"] {
            assert!(ServiceManager::at(name.as_ref()).is_err(), "{name}");
        }
    }
}
