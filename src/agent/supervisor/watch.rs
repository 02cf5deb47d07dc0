//! Detection of changed files by inotify on their directories.
//!
//! Not their contents. A file is watched through its directory, because it is replaced by renaming and may not
//! exist yet.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use serde::{Deserialize, Serialize};

use crate::message::OsText;

/// Result of [`follow`].
#[derive(Default, Serialize, Deserialize)]
pub struct Watched {
    /// Targets of files that are symbolic links.
    targets: Vec<OsText>,
    /// Directories that cannot be watched, and the reasons.
    failed: Vec<String>,
}

/// The watched files.
pub struct Watch {
    descriptor: OwnedFd,
    files: Vec<PathBuf>,
    /// Targets of those that are symbolic links.
    targets: Vec<PathBuf>,
}

impl Watch {
    /// Returns a watch of files. Changes are reported to the poll as `token`, once their directories are
    /// [followed](follow).
    pub fn new(registry: &Registry, token: Token, files: Vec<PathBuf>) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        registry.register(
            &mut SourceFd(&descriptor.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(Self {
            descriptor,
            files,
            targets: Vec::new(),
        })
    }

    /// Returns true if a file may have changed since the last call. While the files are `read`, others may be followed
    /// than those that are known here, so each event counts.
    pub fn has_changed(&mut self, read: bool) -> bool {
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
                self.files.iter().chain(&self.targets).any(named)
            });
            let lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED | ReadFlags::ISDIR;
            changed |= read || known || event.events().intersects(lost);
        }
        changed
    }

    /// Returns the inotify descriptor, for [`follow`].
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Takes what [`follow`] has found.
    pub fn set_targets(&mut self, watched: Watched) {
        let targets = watched.targets.into_iter();
        self.targets = targets
            .map(|target| PathBuf::from(target.into_os_string()))
            .collect();
        for failed in watched.failed {
            tracing::warn!("cannot watch {failed}");
        }
    }

    /// Watches the existing directories. Waits for their file systems.
    pub fn renew(&mut self) {
        let watched = follow(self.descriptor.as_fd(), &self.files);
        self.set_targets(watched);
    }
}

/// Lets an inotify descriptor watch the existing directories of files. To add one again has no effect. May be called in
/// another process than the [`Watch`].
pub fn follow(descriptor: BorrowedFd<'_>, files: &[PathBuf]) -> Watched {
    let targets: Vec<PathBuf> = files.iter().flat_map(links).collect();
    let mut directories: BTreeSet<&Path> = BTreeSet::new();
    for file in files.iter().chain(&targets) {
        // The nearest existing directory, to detect the creation of those below.
        let mut directory = file.ancestors().skip(1);
        directories.extend(directory.find(|directory| directory.is_dir()));
    }
    let flags = WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::MOVE
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ATTRIB;
    let mut failed = Vec::new();
    for directory in directories {
        if let Err(error) = inotify::add_watch(descriptor, directory, flags) {
            failed.push(format!("{}: {error}", directory.display()));
        }
    }
    let targets = targets
        .into_iter()
        .map(|path| OsText::from(path.into_os_string()));
    Watched {
        targets: targets.collect(),
        failed,
    }
}

/// Returns every path by which a file is reached: the symbolic links and their targets.
fn links(file: &PathBuf) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut at = file.clone();
    // Linux follows at most 40 links.
    for _ in 0..40 {
        let Ok(next) = std::fs::read_link(&at) else {
            break;
        };
        at = at.parent().unwrap_or(Path::new("/")).join(next);
        paths.push(at.clone());
    }
    paths.extend(std::fs::canonicalize(file));
    paths
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// True if a file has changed; follows the directories then, as a reload does.
    fn has_changed(watch: &mut Watch) -> bool {
        let changed = watch.has_changed(false);
        if changed {
            watch.renew();
        }
        changed
    }

    #[test]
    fn the_creation_change_and_removal_of_a_watched_file_are_detected() {
        let directory = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let file = directory.path().join("sub/keys");
        let mut watch = Watch::new(poll.registry(), Token(0), vec![file.clone()]).unwrap();
        watch.renew();
        assert!(!has_changed(&mut watch));
        fs::create_dir(directory.path().join("sub")).unwrap();
        assert!(has_changed(&mut watch), "its directory");
        fs::write(directory.path().join("sub/other"), "x").unwrap();
        assert!(!has_changed(&mut watch));
        fs::write(&file, "x").unwrap();
        assert!(has_changed(&mut watch));
        assert!(!has_changed(&mut watch));
        let aside = directory.path().join("sub/aside");
        fs::write(&aside, "y").unwrap();
        fs::rename(&aside, &file).unwrap();
        assert!(has_changed(&mut watch));
        fs::remove_file(&file).unwrap();
        assert!(has_changed(&mut watch));
    }

    #[test]
    fn the_change_of_a_file_behind_symbolic_links_is_detected() {
        let directory = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["a", "b", "c"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("c/truth"), "x").unwrap();
        std::os::unix::fs::symlink(at("c/truth"), at("b/middle")).unwrap();
        std::os::unix::fs::symlink("../b/middle", at("a/keys")).unwrap();
        let mut watch = Watch::new(poll.registry(), Token(0), vec![at("a/keys")]).unwrap();
        watch.renew();
        fs::write(at("c/truth"), "y").unwrap();
        assert!(has_changed(&mut watch));
        fs::write(at("c/other"), "y").unwrap();
        assert!(!has_changed(&mut watch));
        fs::write(at("c/other"), "y").unwrap();
        fs::remove_file(at("b/middle")).unwrap();
        std::os::unix::fs::symlink(at("c/other"), at("b/middle")).unwrap();
        assert!(has_changed(&mut watch), "the link has another target");
        fs::write(at("c/other"), "z").unwrap();
        assert!(has_changed(&mut watch));
    }
}
