//! The process file system of the pid namespace of this process.
//!
//! That is what is mounted at `/proc`, if it shows this namespace. Otherwise, as in a chroot or with the mounts of
//! another namespace, one is made that is mounted nowhere, which takes `CAP_SYS_ADMIN`. Invariant: what is read here is
//! never about another namespace.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat};
use rustix::io::retry_on_intr;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::process::getpid;

static ROOT: OnceLock<Option<OwnedFd>> = OnceLock::new();

/// True if there is one.
#[must_use]
pub fn has_procfs() -> bool {
    root().is_some()
}

/// Opens a file for reading. The path is relative to `/proc`.
pub(super) fn open(path: &str) -> io::Result<File> {
    Ok(open_with(path, OFlags::RDONLY)?.into())
}

/// Reads a file.
pub(super) fn read(path: &str) -> io::Result<Vec<u8>> {
    let file = open_with(path, OFlags::RDONLY)?;
    // Most files there fit. `Read::read_to_end` would ask for the size first, which procfs does not know.
    let mut bytes = Vec::with_capacity(1024);
    while retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))? > 0 {
        bytes.reserve(1024);
    }
    Ok(bytes)
}

/// Opens a directory, `.` for the processes.
pub(super) fn directory(path: &str) -> io::Result<Dir> {
    let directory = open_with(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    Ok(Dir::new(directory)?)
}

fn open_with(path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let root = root().ok_or(io::ErrorKind::NotFound)?;
    Ok(openat(root, path, flags | OFlags::CLOEXEC, Mode::empty())?)
}

fn root() -> Option<BorrowedFd<'static>> {
    let root = ROOT.get_or_init(|| mounted().or_else(|| unmounted().ok()));
    root.as_ref().map(OwnedFd::as_fd)
}

fn mounted() -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/proc", flags, Mode::empty()).ok()?;
    let this = readlinkat(&root, "self", Vec::new()).ok()?;
    (this.to_bytes() == getpid().to_string().as_bytes()).then_some(root)
}

fn unmounted() -> io::Result<OwnedFd> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}
