//! Locks of the files that hold rights and state, beside them.
//!
//! Not the files themselves, which are replaced while they are locked. Invariant: a lock has one holder at a time, also
//! between programs, and is released when its holder ends.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::FileError;
use super::file::{create_directory, directory_of};

/// Exclusive lock on a file while it is read, changed and replaced. Released when dropped or when
/// the process ends.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its lock")] File);

/// Waits for the exclusive lock of `path`, which is a file beside it with the suffix `.lock`. A
/// holder only reads and replaces a file, so the wait is short.
///
/// # Errors
/// [`FileError::Io`]
pub fn lock(path: &Path) -> Result<Lock, FileError> {
    let (file, beside) = open_lock(path)?;
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(Lock(file)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(FileError::Io(beside, errno.into())),
        }
    }
}

/// Takes the exclusive lock of `path` as [`lock`] does, or returns `None` if another program has it.
///
/// # Errors
/// [`FileError::Io`]
pub fn try_lock(path: &Path) -> Result<Option<Lock>, FileError> {
    let (file, beside) = open_lock(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock(file))),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
        Err(errno) => Err(FileError::Io(beside, errno.into())),
    }
}

/// Opens the file that is locked in place of `path`.
fn open_lock(path: &Path) -> Result<(File, PathBuf), FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = PathBuf::from(name);
    create_directory(directory_of(&beside))?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| FileError::Io(beside.clone(), error))?;
    Ok((file, beside))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::home::{Readers, replace};

    #[test]
    fn the_lock_has_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/file");
        let held = try_lock(&path).unwrap();
        assert!(held.is_some() && try_lock(&path).unwrap().is_none());
        drop(held);
        replace(&path, b"0", Readers::All).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let _lock = lock(&path).unwrap();
                        let number: u32 = fs::read_to_string(&path).unwrap().parse().unwrap();
                        fs::write(&path, (number + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "80");
    }
}
