//! Open directory and the operations on its entries.
//!
//! Invariant: an operation takes a [`Name`] and follows no symbolic link, so that it stays in the directory whatever
//! happens to the tree meanwhile.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    self, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;

use super::fault::Fault;
use super::frame::Attributes;
use super::name::Name;

/// Open directory.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// Entry of a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// Its type, if the file system tells it with the name.
    pub kind: Kind,
}

/// Type of an item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Link,
    /// Device, socket or pipe.
    Special,
}

impl Kind {
    /// Returns the type of an item by its status.
    #[must_use]
    pub const fn of(stat: &Stat) -> Self {
        Self::of_type(FileType::from_raw_mode(stat.st_mode))
    }

    const fn of_type(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            _ => Self::Special,
        }
    }
}

/// Identity of a directory: its device and its inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity(u64, u64);

/// Flags of every descriptor that is opened here.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY);

impl Directory {
    /// Takes an open directory.
    #[must_use]
    pub const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Opens the same directory once more.
    ///
    /// # Errors
    /// Of the system.
    pub fn again(&self) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | ALWAYS;
        fs::openat(&self.0, ".", flags, Mode::empty()).map(Self)
    }

    /// Opens a directory in it.
    ///
    /// # Errors
    /// Of the system; `NOTDIR` for a symbolic link.
    pub fn enter(&self, name: &Name) -> Result<Self, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | ALWAYS;
        let open =
            |access| fs::openat(&self.0, name.as_bytes(), flags | access, Mode::empty()).map(Self);
        // A directory that may be written to and not read can be entered all the same.
        open(OFlags::RDONLY).or_else(|error| match error {
            Errno::ACCESS => open(OFlags::PATH),
            error => Err(error),
        })
    }

    /// Returns its identity.
    ///
    /// # Errors
    /// Of the system.
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types of these members depend on the architecture"
    )]
    pub fn identity(&self) -> Result<Identity, Errno> {
        let stat = fs::fstat(&self.0)?;
        Ok(Identity(stat.st_dev as u64, stat.st_ino as u64))
    }

    /// Opens the directory that it lies in, if that is the one with this identity.
    ///
    /// # Errors
    /// [`Fault::Moved`] if it lies in another one, or of the system.
    pub fn above(&self, identity: Identity) -> Result<Self, Fault> {
        let open = |access| {
            let flags = OFlags::DIRECTORY | ALWAYS | access;
            fs::openat(&self.0, "..", flags, Mode::empty()).map(Self)
        };
        let above = open(OFlags::RDONLY).or_else(|error| match error {
            Errno::ACCESS => open(OFlags::PATH),
            error => Err(error),
        })?;
        if above.identity()? != identity {
            return Err(Fault::Moved);
        }
        Ok(above)
    }

    /// Opens a directory in it, and makes it if there is none. Returns true if it was made.
    ///
    /// # Errors
    /// Of the system; `NOTDIR` if there is something else.
    pub fn make(&self, name: &Name, mode: u32) -> Result<(Self, bool), Errno> {
        match fs::mkdirat(&self.0, name.as_bytes(), Mode::from_raw_mode(mode)) {
            Ok(()) => Ok((self.enter(name)?, true)),
            Err(Errno::EXIST) => Ok((self.enter(name)?, false)),
            Err(error) => Err(error),
        }
    }

    /// Returns the status of an item in it; `None` if there is none.
    ///
    /// # Errors
    /// Of the system.
    pub fn stat(&self, name: &Name) -> Result<Option<Stat>, Errno> {
        match fs::statat(&self.0, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file in it for reading. Does not wait for the other end of a pipe.
    ///
    /// # Errors
    /// Of the system.
    pub fn open(&self, name: &Name) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | ALWAYS;
        fs::openat(&self.0, name.as_bytes(), flags, Mode::empty()).map(File::from)
    }

    /// Makes a file in it. One that is there is an error.
    ///
    /// # Errors
    /// Of the system; `EXIST` if there is an item of this name.
    pub fn create(&self, name: &Name, mode: u32) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | ALWAYS;
        let mode = Mode::from_raw_mode(mode);
        fs::openat(&self.0, name.as_bytes(), flags, mode).map(File::from)
    }

    /// Opens a file for reading and writing, under a lock, and makes it if there is none. Returns `None` if another
    /// process has the lock, or what is there is not this user's.
    ///
    /// # Errors
    /// Of the system.
    pub fn lock(&self, name: &Name, mode: u32) -> Result<Option<File>, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | ALWAYS;
        let mode = Mode::from_raw_mode(mode);
        let file = match fs::openat(&self.0, name.as_bytes(), flags, mode) {
            Ok(file) => file,
            // Something that this user does not own is in the way.
            Err(Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::ISDIR) => return Ok(None),
            Err(error) => return Err(error),
        };
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error),
        }
        // Its former holder may have moved it to its final name in between.
        let opened = fs::fstat(&file)?;
        let is_here = self
            .stat(name)?
            .is_some_and(|stat| (stat.st_dev, stat.st_ino) == (opened.st_dev, opened.st_ino));
        let is_own = Kind::of(&opened) == Kind::File
            && opened.st_nlink == 1
            && opened.st_uid == rustix::process::geteuid().as_raw();
        Ok((is_here && is_own).then(|| File::from(file)))
    }

    /// Gives an item another name in the directory, in the place of what is there.
    ///
    /// # Errors
    /// Of the system; `ISDIR` if there is a directory.
    pub fn rename(&self, from: &Name, to: &Name) -> Result<(), Errno> {
        fs::renameat(&self.0, from.as_bytes(), &self.0, to.as_bytes())
    }

    /// Removes an item that is no directory.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove(&self, name: &Name) -> Result<(), Errno> {
        fs::unlinkat(&self.0, name.as_bytes(), AtFlags::empty())
    }

    /// Makes a symbolic link in it.
    ///
    /// # Errors
    /// Of the system.
    pub fn link(&self, target: &[u8], name: &Name) -> Result<(), Errno> {
        fs::symlinkat(target, &self.0, name.as_bytes())
    }

    /// Returns the target of a symbolic link in it.
    ///
    /// # Errors
    /// Of the system.
    pub fn target_of(&self, name: &Name) -> Result<Vec<u8>, Errno> {
        let target = fs::readlinkat(&self.0, name.as_bytes(), Vec::new())?;
        Ok(target.into_bytes())
    }

    /// Sets the time of change of an item in it, or of a symbolic link itself.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_time(&self, name: &Name, attributes: Attributes) -> Result<(), Errno> {
        let times = times(attributes);
        fs::utimensat(&self.0, name.as_bytes(), &times, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Returns its entries in the order of their names.
    ///
    /// # Errors
    /// Of the system.
    pub fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let mut entries = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let Some(name) = Name::new(entry.file_name().to_bytes()) else {
                continue;
            };
            let kind = match entry.file_type() {
                FileType::Unknown => match self.stat(&name)? {
                    Some(stat) => Kind::of(&stat),
                    None => continue,
                },
                kind => Kind::of_type(kind),
            };
            entries.push(Entry { name, kind });
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns the attributes of an item by its status.
#[must_use]
pub fn attributes(stat: &Stat) -> Attributes {
    Attributes {
        mode: stat.st_mode & 0o7777,
        seconds: stat.st_mtime,
        nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    }
}

/// Returns the times to set for attributes: that of the last change, and none of the last access.
fn times(attributes: Attributes) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: attributes.seconds,
            tv_nsec: attributes.nanos.into(),
        },
    }
}

/// Sets the permissions of an open item. A peer does not make a program run as the owner of its copy: the bits for that are
/// not set.
///
/// # Errors
/// Of the system.
pub fn set_mode(item: impl AsFd, mode: u32) -> Result<(), Errno> {
    fs::fchmod(item, Mode::from_raw_mode(mode & 0o777))
}

/// Sets permissions and time of change of an open item.
///
/// # Errors
/// Of the system.
pub fn set_attributes(item: impl AsFd, attributes: Attributes) -> Result<(), Errno> {
    set_mode(&item, attributes.mode)?;
    fs::futimens(&item, &times(attributes))
}

/// Returns the permissions that new files of this process do not get.
#[must_use]
pub fn umask() -> u32 {
    // Without a change, as other threads may make files meanwhile.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    field
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o022)
}
