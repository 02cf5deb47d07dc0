//! Descriptors that the service manager passes at the start, sd_listen_fds(3): bound sockets, and those that an
//! earlier agent has stored.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};

use crate::process::inherited;

/// Beginning of the names of stored descriptors, which distinguishes them from sockets.
pub const STORED: &str = "stored-";

/// Number of the first descriptor (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// Upper bound of the passed descriptors: those of as many jobs as an agent runs by default.
const PASSED: usize = 1 << 16;

/// Descriptors from the service manager.
#[derive(Debug, Default)]
pub struct Passed {
    /// Bound UDP sockets, to use instead of the addresses of the configuration.
    pub sockets: Vec<UdpSocket>,
    /// Descriptors of [`ServiceManager::store`](super::ServiceManager::store), each with its name.
    pub stored: Vec<(String, OwnedFd)>,
}

/// Error about passed descriptors.
#[derive(Debug)]
pub enum PassedError {
    /// `LISTEN_FDS` is no number, or too large.
    Count(String),
    /// A descriptor of the range is not open.
    Closed(i32),
    /// A descriptor is no UDP socket.
    NotUdp(i32, String),
    /// A socket cannot be set up.
    Io(io::Error),
}

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(text) => write!(f, "LISTEN_FDS={text}: not a number of descriptors"),
            Self::Closed(fd) => write!(f, "descriptor {fd} of LISTEN_FDS is not open"),
            Self::NotUdp(fd, name) => write!(
                f,
                "descriptor {fd} ({name}) of LISTEN_FDS is not a UDP socket; use ListenDatagram= with an IP address"
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PassedError {}

/// Takes the descriptors that `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` describe. Call once, at the start.
///
/// # Errors
/// [`PassedError`]
pub fn passed() -> Result<Passed, PassedError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let own = std::process::id();
    let Some(names) = names(
        &variable("LISTEN_PID"),
        &variable("LISTEN_FDS"),
        &variable("LISTEN_FDNAMES"),
        own,
    )?
    else {
        return Ok(Passed::default());
    };
    let mut passed = Passed::default();
    for (fd, name) in (FIRST..).zip(names) {
        let descriptor = inherited(fd).ok_or(PassedError::Closed(fd))?;
        match name.strip_prefix(STORED) {
            Some(name) => passed.stored.push((name.to_owned(), descriptor)),
            None => passed.sockets.push(udp_socket(fd, name, descriptor)?),
        }
    }
    Ok(passed)
}

/// Returns a name for each passed descriptor, or `None` if they are not for this process.
fn names(
    pid: &str,
    count: &str,
    names: &str,
    own: u32,
) -> Result<Option<Vec<String>>, PassedError> {
    if pid.parse() != Ok(own) {
        return Ok(None);
    }
    let parsed = count.parse().ok().filter(|&count| count <= PASSED);
    let count: usize = parsed.ok_or_else(|| PassedError::Count(count.to_owned()))?;
    let mut names: Vec<String> = names.split(':').map(str::to_owned).collect();
    names.resize(count, "unknown".to_owned());
    Ok(Some(names))
}

fn udp_socket(fd: i32, name: String, descriptor: OwnedFd) -> Result<UdpSocket, PassedError> {
    let is_udp = matches!(socket_type(&descriptor), Ok(SocketType::DGRAM))
        && matches!(
            socket_domain(&descriptor),
            Ok(AddressFamily::INET | AddressFamily::INET6)
        );
    if !is_udp {
        return Err(PassedError::NotUdp(fd, name));
    }
    let socket = UdpSocket::from(descriptor);
    socket.set_nonblocking(true).map_err(PassedError::Io)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_another_process_are_left_alone() {
        assert_eq!(names("7", "2", "", 8).unwrap(), None);
        assert_eq!(names("", "2", "", 8).unwrap(), None);
        assert_eq!(
            names("8", "3", "a:stored-b", 8).unwrap().unwrap(),
            ["a", "stored-b", "unknown"]
        );
        assert_eq!(names("8", "0", "", 8).unwrap().unwrap(), [""; 0]);
    }

    #[test]
    fn a_number_of_descriptors_that_cannot_be_is_refused() {
        for count in ["", "-1", "x", "65537", "99999999999999999999"] {
            assert!(names("8", count, "", 8).is_err(), "{count}");
        }
    }

    #[test]
    fn only_udp_sockets_are_taken() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let taken = udp_socket(3, "udp".into(), udp.into()).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = udp_socket(3, "tcp".into(), tcp.into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "descriptor 3 (tcp) of LISTEN_FDS is not a UDP socket; use ListenDatagram= with an IP address"
        );
        let (unix, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert!(udp_socket(3, "unix".into(), unix.into()).is_err());
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(udp_socket(3, "file".into(), file.into()).is_err());
    }
}
