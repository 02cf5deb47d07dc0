//! The cgroup of one process tree: a directory of the unified hierarchy, cgroups(7).
//!
//! Not its place and its limits (`cgroups`). Invariants: no call waits for a process; a cgroup that is gone counts as
//! empty.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, XattrFlags, getxattr, openat, setxattr};
use rustix::io::Errno;

use super::Pid;
use super::limits;

/// Attribute of a cgroup whose processes are left alone on purpose.
const KEPT: &str = "user.udpagent.kept";

/// A cgroup, identified by its directory. Cheap to clone; holds no descriptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Returns the cgroup of a directory; `None` if the path is not absolute.
    #[must_use]
    pub fn at(path: PathBuf) -> Option<Self> {
        path.is_absolute().then_some(Self { path })
    }

    /// Returns its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens its directory.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(CWD, &self.path, flags, Mode::empty())?)
    }

    /// Kills all processes in it and below it, of whatever user, and those that they are about to make (Linux 5.14).
    pub(super) fn kill(&self) -> io::Result<()> {
        match write(&self.path.join("cgroup.kill"), "1") {
            Err(error) if is_gone(&error) => Ok(()),
            written => written,
        }
    }

    /// True if a process that has not ended is in it or below it.
    ///
    /// # Errors
    /// The directory is no cgroup, or cannot be read.
    pub fn is_populated(&self) -> io::Result<bool> {
        match fs::read_to_string(self.path.join("cgroup.events")) {
            Ok(events) => Ok(events.lines().any(|line| line == "populated 1")),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the ids of the processes in it and below it. It may miss some of a tree that changes meanwhile.
    pub(super) fn members(&self) -> Vec<Pid> {
        let lists = self.directories();
        let lists = lists.iter().filter_map(|directory| {
            let list = fs::read_to_string(directory.join("cgroup.procs"));
            list.ok()
        });
        let lists: Vec<String> = lists.collect();
        lists
            .iter()
            .flat_map(|list| list.lines())
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect()
    }

    /// Removes it, with the empty cgroups that its processes have made below it. Returns false if a process is left.
    ///
    /// # Errors
    /// Those of `rmdir(2)`.
    pub fn remove(&self) -> io::Result<bool> {
        match remove(&self.path) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            removed => return removed.map(|()| true),
        }
        if self.is_populated()? {
            return Ok(false);
        }
        // From the deepest on.
        for directory in self.directories().iter().rev() {
            match remove(directory) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Ok(false),
                removed => removed?,
            }
        }
        Ok(true)
    }

    /// Marks its processes as left alone: neither the guard nor a later agent ends them.
    ///
    /// # Errors
    /// Those of `setxattr(2)`.
    pub fn keep(&self) -> io::Result<()> {
        match setxattr(&self.path, KEPT, b"1", XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// True if its processes are left alone.
    pub(super) fn is_kept(&self) -> bool {
        getxattr(&self.path, KEPT, &mut [0_u8; 1][..]).is_ok()
    }

    /// Returns its directory and those below it, each after its parent, up to a bound.
    fn directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.path.clone()];
        let mut next = 0;
        while let Some(directory) = all.get(next)
            && all.len() < limits::CGROUPS_BELOW
        {
            next += 1;
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|t| t.is_dir());
            let below: Vec<PathBuf> = entries
                .filter(is_directory)
                .map(|entry| entry.path())
                .collect();
            all.extend(below);
        }
        all.truncate(limits::CGROUPS_BELOW);
        all
    }
}

/// Writes a file of a cgroup with one system call, as the kernel wants it.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(CWD, path.as_os_str().as_bytes(), flags, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

/// Removes a directory that may be gone already.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if is_gone(&error) => Ok(()),
        removed => removed,
    }
}

/// True if the error means that a cgroup was removed.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}
