//! A listening socket whose connections are forwarded to one destination.
//!
//! Invariant: a socket file that it has made is removed when it is dropped, and no other file is.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, lstat, openat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};

use super::limits::BACKLOG;
use crate::message::ForwardTarget;

/// Place of a listening socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Port of the loopback addresses.
    Loopback(u16),
    /// Port of all addresses.
    Everywhere(u16),
    /// Port of the addresses of a host of this machine.
    Host(String, u16),
    /// Path of a unix socket.
    Unix(PathBuf, SocketFile),
}

/// File of a unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketFile {
    /// Mode of the file.
    pub mode: u32,
    /// True if a socket file that is there is removed before.
    pub is_replaced: bool,
}

impl SocketFile {
    /// Default mode: that of ssh(1), with which only the user may connect.
    pub const MODE: u32 = 0o600;
}

impl Default for SocketFile {
    fn default() -> Self {
        Self {
            mode: Self::MODE,
            is_replaced: false,
        }
    }
}

/// Error of a place that nothing can listen at.
#[derive(Debug)]
pub struct BindError {
    place: String,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.error.to_string();
        let words = text.split(" (os error").next().unwrap_or_default();
        write!(f, "cannot listen on {}: {words}", self.place)
    }
}

impl std::error::Error for BindError {}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    to: ForwardTarget,
    /// True if connections are those of TCP.
    pub(super) is_tcp: bool,
    /// Socket file to remove.
    file: Option<(PathBuf, FileId)>,
}

impl Place {
    /// Binds the sockets of a place.
    ///
    /// # Errors
    /// The first address cannot be bound, or no address can.
    pub fn bind(&self, to: &ForwardTarget) -> Result<Vec<Listener>, BindError> {
        let failed = |place: &str, error| BindError {
            place: place.to_owned(),
            error,
        };
        match self {
            Self::Loopback(port) => {
                let both = [
                    SocketAddr::from(([127, 0, 0, 1], *port)),
                    SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, *port)),
                ];
                bind_all(&both, to)
            }
            Self::Everywhere(port) => {
                let both = [
                    SocketAddr::from(([0, 0, 0, 0], *port)),
                    SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, *port)),
                ];
                bind_all(&both, to)
            }
            Self::Host(host, port) => {
                let found = (&**host, *port).to_socket_addrs();
                let found: Vec<_> = found.map_err(|error| failed(host, error))?.collect();
                bind_all(&found, to)
            }
            Self::Unix(path, file) => {
                let bound = bind_unix(path, *file, to);
                let bound = bound.map_err(|error| failed(&path.display().to_string(), error))?;
                Ok(vec![bound])
            }
        }
    }
}

/// Binds TCP addresses. One whose family this machine lacks is passed over, if another one can be bound.
fn bind_all(addresses: &[SocketAddr], to: &ForwardTarget) -> Result<Vec<Listener>, BindError> {
    let (mut bound, mut failure) = (Vec::new(), None);
    for address in addresses {
        match bind_one(*address) {
            Ok(socket) => bound.push(Listener {
                socket,
                to: to.clone(),
                is_tcp: true,
                file: None,
            }),
            Err(error) => {
                let is_missing = matches!(
                    error
                        .raw_os_error()
                        .map(rustix::io::Errno::from_raw_os_error),
                    Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
                );
                let error = BindError {
                    place: address.to_string(),
                    error,
                };
                if !is_missing {
                    return Err(error);
                }
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(failure) if bound.is_empty() => Err(failure),
        Some(_) | None => Ok(bound),
    }
}

fn bind_unix(path: &Path, file: SocketFile, to: &ForwardTarget) -> io::Result<Listener> {
    if file.is_replaced && is_socket(path) {
        std::fs::remove_file(path)?;
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // The file itself, as another user may put a link in its place where the directory allows it.
    let made = openat(
        CWD,
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let id = FileId::of(&fstat(&made)?).ok_or(io::ErrorKind::NotFound)?;
    // From here on, the file goes with the listener.
    let listener = Listener {
        socket,
        to: to.clone(),
        is_tcp: false,
        file: Some((path.to_owned(), id)),
    };
    // Before it listens, nobody can connect.
    let through = format!("/proc/self/fd/{}", made.as_raw_fd());
    rustix::fs::chmod(through, Mode::from_raw_mode(file.mode))?;
    listen(&listener.socket, BACKLOG)?;
    Ok(listener)
}

fn bind_one(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket).into())
}

impl Listener {
    /// Returns the destination of its connections.
    pub(super) const fn to(&self) -> &ForwardTarget {
        &self.to
    }

    /// Returns the address of a TCP socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let socket = self.socket.try_clone().ok()?;
        self.is_tcp
            .then(|| TcpListener::from(socket).local_addr().ok())?
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, id)) = &self.file
            && lstat(path).ok().as_ref().and_then(FileId::of).as_ref() == Some(id)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn is_socket(path: &Path) -> bool {
    lstat(path).is_ok_and(|stat| FileId::of(&stat).is_some())
}

/// Identity of a socket file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileId(u64, u64);

impl FileId {
    /// Returns that of a socket; `None` of another file.
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types of these members depend on the architecture"
    )]
    fn of(stat: &Stat) -> Option<Self> {
        let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
        is_socket.then_some(Self(stat.st_dev as u64, stat.st_ino as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> ForwardTarget {
        ForwardTarget::tcp("db", 1).unwrap()
    }

    #[test]
    fn a_port_of_the_loopback_addresses_is_bound_once_and_an_error_names_it() {
        let taken = Place::Host("127.0.0.1".into(), 0).bind(&target()).unwrap();
        let address = taken[0].address().unwrap();
        let error = Place::Loopback(address.port()).bind(&target()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot listen on {address}: Address already in use")
        );
    }

    #[test]
    fn the_file_of_another_listener_is_left_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let file = SocketFile {
            mode: 0o600,
            is_replaced: true,
        };
        let first = bind_unix(&path, file, &target()).unwrap();
        let second = bind_unix(&path, file, &target()).unwrap();
        drop(first);
        assert!(is_socket(&path));
        drop(second);
        assert!(!is_socket(&path));
    }

    #[test]
    fn the_file_of_a_unix_socket_is_private_and_goes_with_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let place = |file| Place::Unix(path.clone(), file);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let bound = place(SocketFile::default()).bind(&target()).unwrap();
        assert_eq!(mode(), 0o600);
        let again = place(SocketFile::default()).bind(&target()).unwrap_err();
        assert_eq!(
            again.to_string(),
            format!(
                "cannot listen on {}: Address already in use",
                path.display()
            )
        );
        drop(bound);
        assert!(!path.exists());
        // One that was left behind is replaced if that was asked for, and nothing else is.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let file = SocketFile {
            mode: 0o666,
            is_replaced: true,
        };
        let bound = place(file).bind(&target()).unwrap();
        assert_eq!(mode(), 0o666);
        drop(bound);
        std::fs::write(&path, "kept").unwrap();
        let error = place(file).bind(&target()).unwrap_err().to_string();
        assert!(error.ends_with(": Address already in use"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    }
}
