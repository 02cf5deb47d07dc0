//! Sockets between producers and the recorder.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// Sockets of log lines: one for the supervisor, one for the fronts.
pub const LOGS: usize = 2;

/// Descriptors of a recorder: the socket of records, those of log lines, and the file of its progress.
pub(super) const ENDS: usize = LOGS + 2;

/// Returns the two ends of a new connection.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}
