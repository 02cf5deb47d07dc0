//! The socket of an agent in its state directory, and connections to it.
//!
//! Not the messages on it. Invariant: nobody but the agent's user and root is accepted, by the mode of the file and
//! again by the credentials of the peer.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
    socket_with,
};
use rustix::process::geteuid;

use super::limits::BACKLOG;

/// A socket that listens. Dropping it removes its file.
#[derive(Debug)]
pub struct OwnerSocket {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl OwnerSocket {
    /// Listens at a path. The socket of an earlier agent is replaced.
    ///
    /// # Errors
    /// The directory cannot be created or written, or the system has no descriptor left.
    pub fn listen(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let aside = path.with_extension(format!("{:016x}", getrandom::u64()?));
        let socket = socket()?;
        let (address, _directory) = address(&aside)?;
        bind(&socket, &address)?;
        let published = (|| {
            fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
            // A connection before this fails, so none is made while the mode is another.
            listen(&socket, BACKLOG)?;
            let meta = fs::symlink_metadata(&aside)?;
            fs::rename(&aside, path)?;
            Ok((meta.dev(), meta.ino()))
        })();
        match published {
            Ok(file) => Ok(Self {
                socket,
                path: path.to_owned(),
                file,
            }),
            Err(error) => {
                let _ = fs::remove_file(&aside);
                Err(error)
            }
        }
    }

    /// Accepts the next connection, or closes it if its peer is neither the agent's user nor root; `None` if none
    /// waits. Does not block.
    ///
    /// # Errors
    /// Those of `accept(2)`, and [`io::ErrorKind::PermissionDenied`] for a peer who is closed.
    pub fn accept(&self) -> io::Result<Option<UnixStream>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accepted = match accept_with(&self.socket, flags) {
            Ok(accepted) => accepted,
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let uid = socket_peercred(&accepted)?.uid;
        if uid != geteuid() && !uid.is_root() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Some(accepted.into()))
    }

    /// Returns the descriptor, for a poll.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for OwnerSocket {
    fn drop(&mut self) {
        // Another agent may have put its own there.
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file);
        if same {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Connects to the agent whose socket is at a path; `None` if no agent listens there.
pub(super) fn connect_to(path: &Path) -> io::Result<Option<UnixStream>> {
    let (address, _directory) = match address(path) {
        Ok(address) => address,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let socket = socket()?;
    match connect(&socket, &address) {
        Ok(()) => Ok(Some(socket.into())),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(socket)
}

/// Returns the address of a path. One that is too long for an address is reached through its directory, whose
/// descriptor must stay open while the address is used.
fn address(path: &Path) -> io::Result<(SocketAddrUnix, Option<OwnedFd>)> {
    if let Ok(address) = SocketAddrUnix::new(path) {
        return Ok((address, None));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, parent, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
    Ok((SocketAddrUnix::new(short.join(name))?, Some(directory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_socket_at_a_path_is_reached_and_none_after_its_end() {
        let directory = tempfile::tempdir().unwrap();
        // Longer than an address of a Unix socket may be.
        let path = directory.path().join("x".repeat(120)).join("agent.sock");
        assert!(connect_to(&path).unwrap().is_none());
        let first = OwnerSocket::listen(&path).unwrap();
        assert!(first.accept().unwrap().is_none());
        let _client = connect_to(&path).unwrap().expect("it listens");
        assert!(first.accept().unwrap().is_some());
        let second = OwnerSocket::listen(&path).unwrap();
        drop(first);
        let _client = connect_to(&path).unwrap().expect("the second listens");
        assert!(second.accept().unwrap().is_some());
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(second);
        assert!(connect_to(&path).unwrap().is_none());
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 0);
    }

    #[test]
    fn the_socket_of_a_killed_agent_is_not_that_of_a_running_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let socket = OwnerSocket::listen(&path).unwrap();
        fs::rename(&path, directory.path().join("kept")).unwrap();
        drop(socket);
        fs::rename(directory.path().join("kept"), &path).unwrap();
        assert!(connect_to(&path).unwrap().is_none());
        OwnerSocket::listen(&path).unwrap();
    }
}
