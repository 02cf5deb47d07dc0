//! Notices when one of a few files changes, by inotify on their folders.
//!
//! Not what is in them. A file is watched through its folder, because it is replaced by renaming, and may
//! not exist yet.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// The files that are watched.
pub struct Watch {
    descriptor: OwnedFd,
    files: Vec<PathBuf>,
}

impl Watch {
    /// Watches files, reported as `token`.
    pub fn new(registry: &Registry, token: Token, files: Vec<PathBuf>) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        registry.register(
            &mut SourceFd(&descriptor.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        let watch = Self { descriptor, files };
        watch.renew();
        Ok(watch)
    }

    /// Whether something may have changed since the last call.
    pub fn has_changed(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.descriptor, &mut buffer);
        let mut changed = false;
        while let Ok(event) = reader.next() {
            let known = event.file_name().is_none_or(|name| {
                let name = name.to_bytes();
                let named = |path: &PathBuf| {
                    let last = path.file_name();
                    last.is_some_and(|last| last.as_encoded_bytes() == name)
                };
                self.files.iter().any(named)
            });
            let lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED | ReadFlags::ISDIR;
            changed |= known || event.events().intersects(lost);
        }
        if changed {
            self.renew();
        }
        changed
    }

    /// Watches the folders that exist. Adding one again changes nothing.
    fn renew(&self) {
        let mut folders: BTreeSet<&Path> = BTreeSet::new();
        let targets: Vec<PathBuf> = self.files.iter().flat_map(std::fs::canonicalize).collect();
        for file in self.files.iter().chain(&targets) {
            // The nearest folder that exists, to see the others come.
            let mut folder = file.ancestors().skip(1);
            folders.extend(folder.find(|folder| folder.is_dir()));
        }
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ATTRIB;
        for folder in folders {
            if let Err(error) = inotify::add_watch(&self.descriptor, folder, flags) {
                tracing::warn!(%error, "cannot watch {}", folder.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_comes_changes_and_goes_is_noticed_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let file = folder.path().join("sub/keys");
        let watch = Watch::new(poll.registry(), Token(0), vec![file.clone()]).unwrap();
        assert!(!watch.has_changed());
        fs::create_dir(folder.path().join("sub")).unwrap();
        assert!(watch.has_changed(), "its folder");
        fs::write(folder.path().join("sub/other"), "x").unwrap();
        assert!(!watch.has_changed());
        fs::write(&file, "x").unwrap();
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
        let aside = folder.path().join("sub/aside");
        fs::write(&aside, "y").unwrap();
        fs::rename(&aside, &file).unwrap();
        assert!(watch.has_changed());
        fs::remove_file(&file).unwrap();
        assert!(watch.has_changed());
    }
}
