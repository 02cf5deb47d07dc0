//! Reading and replacing of the files that hold rights and state.
//!
//! Not for secret keys, which have rules of their own in `crypto::key_file`. Invariants: a file is
//! read only if it and its directory are safe from other users; a reader never sees a half-written
//! file.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Upper bound of a file that is read, in bytes: ten thousand lines of 400 bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// Users who may read a file. Only its owner may write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readers {
    /// All users.
    All,
    /// The owner.
    Owner,
}

/// Reason why a file could not be used.
#[derive(Debug)]
pub enum FileError {
    /// The system reported an error.
    Io(PathBuf, io::Error),
    /// Other users may write it, or read it where they must not; with the mode.
    TooOpen(PathBuf, u32),
    /// It belongs neither to the user who runs the program nor to root; with the owner's uid.
    NotOurs(PathBuf, u32),
    /// It is not a regular file.
    NotAFile(PathBuf),
    /// It is larger than [`MAX_FILE`], or another bound of its own.
    TooLarge(PathBuf),
    /// It is not UTF-8; with the line of the first wrong byte.
    NotText(PathBuf, usize),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::TooOpen(path, mode) => write!(
                f,
                "{0}: others may change it (mode {mode:04o}); check what it holds, then run \"chmod go-w {0}\"",
                path.display()
            ),
            Self::NotOurs(path, uid) => write!(
                f,
                "{0}: belongs to uid {uid}; check what it holds, then run \"chown {1} {0}\"",
                path.display(),
                rustix::process::geteuid().as_raw()
            ),
            Self::NotAFile(path) => write!(f, "{}: not a regular file", path.display()),
            Self::TooLarge(path) => write!(
                f,
                "{}: larger than {MAX_FILE} bytes, which this file never needs",
                path.display()
            ),
            Self::NotText(path, line) => write!(
                f,
                "{}:{line}: not UTF-8 text; write the line again",
                path.display()
            ),
        }
    }
}

// The text includes that of the cause, so `source` is not implemented: the cause is printed once.
impl std::error::Error for FileError {}

/// Reads a text file that only its owner could have written, who must be the caller or root.
/// Returns `None` if it does not exist.
///
/// # Errors
/// [`FileError`]
pub fn read(path: &Path, readers: Readers) -> Result<Option<String>, FileError> {
    let bytes = read_bytes(path, readers)?;
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        FileError::NotText(path.to_owned(), line)
    })
}

/// Reads a file as [`read`] does, whatever bytes it has.
///
/// # Errors
/// [`FileError`]
pub fn read_bytes(path: &Path, readers: Readers) -> Result<Option<Vec<u8>>, FileError> {
    read_at_most(path, readers, MAX_FILE)
}

/// Reads a file as [`read_bytes`] does, with another bound than [`MAX_FILE`].
///
/// # Errors
/// [`FileError`]
pub fn read_at_most(
    path: &Path,
    readers: Readers,
    most: u64,
) -> Result<Option<Vec<u8>>, FileError> {
    let Some((file, length)) = open(path, readers)? else {
        return Ok(None);
    };
    let failed = |error| FileError::Io(path.to_owned(), error);
    // One more, so that the end is seen without a buffer that grows.
    let length = usize::try_from(length.min(most) + 1).map_err(io::Error::other);
    let mut bytes = Vec::with_capacity(length.map_err(failed)?);
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    Ok(Some(bytes))
}

/// Opens a file that [`read`] would read, and returns its length too.
///
/// # Errors
/// [`FileError`]
pub fn open(path: &Path, readers: Readers) -> Result<Option<(File, u64)>, FileError> {
    let failed = |error| FileError::Io(path.to_owned(), error);
    let (file, is_link) = match open_with(path, OFlags::NOFOLLOW) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            (open_with(path, OFlags::empty()), true)
        }
        opened => (opened, false),
    };
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    check_access(path, &meta, readers)?;
    check_directory(path)?;
    // If the path is a symbolic link, who may write its directory chooses the file.
    if is_link {
        check_directory(&fs::canonicalize(path).map_err(failed)?)?;
    }
    Ok(Some((file, meta.len())))
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    // Without NONBLOCK, opening a FIFO would block until a process opens it for writing.
    let flags = (flags | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.cast_signed());
    options.open(path)
}

/// Checks that other users cannot have replaced a file of this path.
fn check_directory(path: &Path) -> Result<(), FileError> {
    let directory = directory_of(path);
    let failed = |error| FileError::Io(path.to_owned(), error);
    let meta = fs::metadata(directory).map_err(failed)?;
    check_access(directory, &meta, Readers::All)
}

impl Readers {
    const fn mode(self) -> u32 {
        match self {
            Self::All => 0o644,
            Self::Owner => 0o600,
        }
    }
}

/// Checks that other users cannot have written the file, nor read it if `readers` excludes them.
fn check_access(path: &Path, meta: &fs::Metadata, readers: Readers) -> Result<(), FileError> {
    let forbidden = match readers {
        Readers::All => 0o022,
        Readers::Owner => 0o077,
    };
    let mode = meta.mode() & 0o7777;
    // Anyone may create files in a sticky directory such as /tmp, but not replace another user's.
    let sticky = meta.is_dir() && mode & 0o1000 != 0;
    if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileError::NotOurs(path.to_owned(), meta.uid()));
    }
    if mode & forbidden != 0 && !sticky {
        return Err(FileError::TooOpen(path.to_owned(), mode));
    }
    Ok(())
}

/// Replaces a file atomically: a concurrent reader sees the old or the new text, and after a crash
/// the file has one of the two. A new file has mode 0644 or 0600; an existing one keeps a stricter mode.
/// If the path is a symbolic link, its target is replaced. A missing directory is created with mode
/// 0700.
///
/// # Errors
/// [`FileError::Io`]
pub fn replace(path: &Path, contents: &[u8], readers: Readers) -> Result<(), FileError> {
    replace_with(path, contents, readers, Durability::ThroughCrash)
}

/// Replaces an existing file atomically as [`replace`] does, and keeps its mode, its owner and its group.
///
/// # Errors
/// [`FileError::Io`], also if the owner or the group cannot be kept. The file is unchanged then.
pub fn rewrite(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let failed = |error| FileError::Io(path.to_owned(), error);
    let meta = fs::metadata(path).map_err(failed)?;
    replace_as(path, contents, 0o600, Durability::ThroughCrash, |file| {
        fchown(file, Some(meta.uid()), Some(meta.gid()))?;
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))
    })
}

/// Replaces a file atomically without `fsync(2)`. After a crash of the system it usually has the old or
/// the new text, but a file system may lose both. Only the owner may read it.
///
/// # Errors
/// [`FileError::Io`]
pub fn replace_unsynced(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    replace_with(path, contents, Readers::Owner, Durability::ThroughExit)
}

/// Replaces a file atomically without waiting for the disk, for contents that may be lost in a
/// crash of the system: the file may be empty then. Only the owner may read it.
///
/// # Errors
/// [`FileError::Io`]
pub fn replace_hint(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    replace_with(path, contents, Readers::Owner, Durability::None)
}

/// Durability of a replaced file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    ThroughCrash,
    ThroughExit,
    None,
}

fn replace_with(
    path: &Path,
    contents: &[u8],
    readers: Readers,
    durability: Durability,
) -> Result<(), FileError> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = readers.mode() & fs::metadata(target).map_or(0o777, |meta| meta.mode());
    replace_as(path, contents, mode, durability, |_| Ok(()))
}

/// Replaces a file by a new one with this mode, which `prepare` may change before it takes the place.
fn replace_as(
    path: &Path,
    contents: &[u8],
    mode: u32,
    durability: Durability,
    prepare: impl Fn(&File) -> io::Result<()>,
) -> Result<(), FileError> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = directory_of(&target);
    create_directory(directory)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    // The name is random: a process id is not unique among containers that share the directory.
    let random = getrandom::u64().map_err(|error| FileError::Io(path.to_owned(), error.into()))?;
    name.push(format!(".{random:016x}"));
    let aside = directory.join(name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&aside)?;
        prepare(&file)?;
        file.write_all(contents)?;
        if durability == Durability::ThroughCrash {
            file.sync_all()?;
        }
        if durability == Durability::None {
            take_place(&aside, &target)?;
        } else {
            fs::rename(&aside, &target)?;
        }
        if durability == Durability::ThroughCrash {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&aside);
        FileError::Io(path.to_owned(), error)
    })
}

/// Renames a new file to `target`, without waiting for the disk: where a rename replaces a file, ext4
/// and btrfs write the new one out, which takes milliseconds. An exchange does not.
fn take_place(aside: &Path, target: &Path) -> io::Result<()> {
    let is_file = fs::symlink_metadata(target).is_ok_and(|meta| meta.is_file());
    let exchanged = || renameat_with(CWD, aside, CWD, target, RenameFlags::EXCHANGE);
    if is_file && exchanged().is_ok() {
        // It is the old one now, and what counts is done.
        let _ = fs::remove_file(aside);
        return Ok(());
    }
    fs::rename(aside, target)
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

pub(super) fn create_directory(directory: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| FileError::Io(directory.to_owned(), error))
}

#[cfg(test)]
mod tests;
