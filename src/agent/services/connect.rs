//! Connection to the destination of a forward.
//!
//! Invariant: it takes bounded time, whatever the resolver and the network do, and an error names the destination.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::limits::{ADDRESSES, CONNECT, RESOLVE};
use crate::escape;
use crate::message::{Destination, ForwardTarget};

/// Error of a forward, in one line.
#[derive(Debug)]
pub enum ForwardError {
    /// The connection could not be made.
    Connect(ForwardTarget, io::Error),
    /// The connection has failed.
    Connection(ForwardTarget, io::Error),
    /// The process has no thread or descriptor left.
    System(io::Error),
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, target, error) = match self {
            Self::Connect(target, error) => ("cannot connect to", target, error),
            Self::Connection(target, error) => ("connection to", target, error),
            Self::System(error) => return write!(f, "cannot forward: {}", words_of(error)),
        };
        let target = target.to_text();
        let target = escape::line(target.as_os_str().as_encoded_bytes(), usize::MAX);
        write!(f, "{words} {target}: {}", words_of(error))
    }
}

impl std::error::Error for ForwardError {}

/// Returns the text of an error without its number.
fn words_of(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next();
    words.unwrap_or_default().to_owned()
}

/// Connects to a destination.
///
/// # Errors
/// [`ForwardError::Connect`]
pub fn connect(target: &ForwardTarget) -> Result<OwnedFd, ForwardError> {
    let connected = match target {
        ForwardTarget::Tcp(destination) => tcp(destination),
        ForwardTarget::Unix(path) => {
            UnixStream::connect(path.as_text().as_os_str()).map(OwnedFd::from)
        }
    };
    connected.map_err(|error| ForwardError::Connect(target.clone(), error))
}

/// Connects to the first address of a host that answers. The error is that of the last one.
fn tcp(destination: &Destination) -> io::Result<OwnedFd> {
    let addresses = resolve(destination)?;
    let until = Instant::now() + CONNECT;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut left = addresses.len();
    for address in addresses {
        // One that does not answer leaves time for the others.
        let share =
            until.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
        left -= 1;
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                // Until both directions are at their end, the end of this process is not that of the stream.
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
                return Ok(stream.into());
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = io::Error::new(io::ErrorKind::TimedOut, "Connection timed out");
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Returns the addresses of a host. The resolver of the system has no timeout of its own, so a thread waits for it.
fn resolve(destination: &Destination) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = (destination.host().to_owned(), destination.port());
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || {
            let found = (&*host, port).to_socket_addrs();
            let _ = sender.send(found.map(|all| all.take(ADDRESSES).collect()));
        })?;
    match receiver.recv_timeout(RESOLVE) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the resolver does not answer",
        )),
    }
}
