//! Cgroups that an agent has left: which has died, or has left processes alone on purpose.
//!
//! Invariant: the cgroups of an agent that runs, or whose guard does, are not touched. Both hold a shared lock on the
//! directory.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

use crate::process::cgroup::Cgroup;

/// First part of the name of the cgroup of an agent, before its mark.
const PREFIX: &str = "udpagent-";

/// Length of a mark.
const MARK: usize = 16;

/// Time for which the start of an agent waits for processes that it has killed.
const WAIT: Duration = Duration::from_millis(500);

/// Pause between two looks at them.
const PAUSE: Duration = Duration::from_millis(2);

/// Returns the directory for the cgroups of the jobs of an agent.
pub(super) fn directory(place: &Path, mark: &str) -> PathBuf {
    place.join(format!("{PREFIX}{mark}"))
}

/// Lock on the cgroups of an agent's jobs, so that no other agent ends what is in them.
#[derive(Debug)]
pub struct CgroupsLock(OwnedFd);

impl CgroupsLock {
    /// Locks the directory.
    ///
    /// # Errors
    /// It is gone, or another agent is about to remove it.
    pub fn hold(directory: &Path) -> io::Result<Self> {
        let file = open(directory)?;
        flock(&file, FlockOperation::NonBlockingLockShared)?;
        // It may have been removed between the two.
        fs::metadata(directory)?;
        Ok(Self(file))
    }

    /// True if no other program has locked the directory.
    #[must_use]
    pub fn is_only(&self) -> bool {
        flock(&self.0, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    /// Returns its descriptor. Whoever holds a duplicate holds the lock.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, directory, flags, Mode::empty())?)
}

/// Ends what agents that have died have left below `place`, and removes their cgroups. Processes that were left alone
/// on purpose stay.
pub(super) fn sweep(place: &Path, own: &Path) {
    for directory in below(place) {
        let name = directory.file_name().and_then(|name| name.to_str());
        let mark = name.and_then(|name| name.strip_prefix(PREFIX));
        let is_mark =
            |mark: &str| mark.len() == MARK && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
        if directory != own && mark.is_some_and(is_mark) {
            sweep_one(&directory);
        }
    }
}

fn sweep_one(directory: &Path) {
    let Ok(lock) = open(directory) else { return };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    let left: Vec<Cgroup> = below(directory)
        .into_iter()
        .filter_map(Cgroup::at)
        .collect();
    let killed = left.iter().filter(|cgroup| !cgroup.is_kept());
    let killed: Vec<&Cgroup> = killed.filter(|cgroup| cgroup.kill().is_ok()).collect();
    let begun = Clock::now();
    let is_left = |cgroup: &&&Cgroup| cgroup.is_populated().unwrap_or(false);
    while killed.iter().any(|cgroup| is_left(&cgroup)) && begun.elapsed() < WAIT {
        std::thread::sleep(PAUSE);
    }
    remove_empty(directory);
}

/// Removes the cgroups of jobs that are empty, and then their parent if none is left.
pub fn remove_empty(directory: &Path) {
    for cgroup in below(directory).into_iter().filter_map(Cgroup::at) {
        // One that is not empty is left for a later agent.
        let _ = cgroup.remove();
    }
    let _ = fs::remove_dir(directory);
}

/// Returns the directories in a directory.
pub(super) fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let directories = entries.filter(is_directory);
    directories.map(|entry| entry.path()).collect()
}
