//! Reading, replacing and locking the files that trust and state are kept in.
//!
//! Not for secret keys, which have their own rules in `crypto::key_file`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, OFlags};

/// The largest file that is read: ten thousand lines of 400 bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// Who may read a file. Nobody but its owner may ever write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readers {
    /// Everyone.
    All,
    /// The owner.
    Owner,
}

/// Why a file could not be used.
#[derive(Debug)]
pub enum FileError {
    /// The system says no.
    Io(PathBuf, io::Error),
    /// Others may write it (or read it, where they must not); holds the mode.
    TooOpen(PathBuf, u32),
    /// It belongs to another user than the one who runs the program; holds the owner's uid.
    NotOurs(PathBuf, u32),
    /// It is no regular file.
    NotAFile(PathBuf),
    /// It is larger than [`MAX_FILE`].
    TooLarge(PathBuf),
    /// It is not UTF-8; holds the line of the first byte that is not.
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

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Reads a text file that only its owner, who is the caller or root, could have written. `None` when
/// there is none.
///
/// # Errors
/// [`FileError`]
pub fn read(path: &Path, readers: Readers) -> Result<Option<String>, FileError> {
    let failed = |error| FileError::Io(path.to_owned(), error);
    // Without NONBLOCK, opening a FIFO would wait for somebody to write.
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    guard(path, &meta, readers)?;
    let real = fs::canonicalize(path).map_err(failed)?;
    if let Some(folder) = real.parent() {
        guard(folder, &fs::metadata(folder).map_err(failed)?, Readers::All)?;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        FileError::NotText(path.to_owned(), line)
    })
}

fn guard(path: &Path, meta: &fs::Metadata, readers: Readers) -> Result<(), FileError> {
    let forbidden = match readers {
        Readers::All => 0o022,
        Readers::Owner => 0o077,
    };
    let mode = meta.mode() & 0o7777;
    // Anyone may put files into a sticky folder such as /tmp, but not in the place of another's.
    let sticky = meta.is_dir() && mode & 0o1000 != 0;
    if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileError::NotOurs(path.to_owned(), meta.uid()));
    }
    if mode & forbidden != 0 && !sticky {
        return Err(FileError::TooOpen(path.to_owned(), mode));
    }
    Ok(())
}

/// Replaces a file whole, with mode 0644 or 0600: who reads meanwhile sees the old or the new text,
/// and after a crash there is one of the two. A symbolic link stays, its target is replaced. The folder
/// is created if need be, with mode 0700.
///
/// # Errors
/// [`FileError::Io`]
pub fn replace(path: &Path, contents: &[u8], readers: Readers) -> Result<(), FileError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let failed = |error| FileError::Io(path.to_owned(), error);
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&target);
    create_folder(folder)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(
        ".{}.{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    ));
    let aside = folder.join(name);
    let mode = match readers {
        Readers::All => 0o644,
        Readers::Owner => 0o600,
    };
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&aside)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&aside, &target)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written.map_err(failed)
}

/// Held while a file is read, changed and replaced; released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its lock")] File);

/// Waits for the exclusive lock that goes with `path`, a file beside it that ends in `.lock`. Holders
/// do nothing but read and replace a file, so the wait is short.
///
/// # Errors
/// [`FileError::Io`]
pub fn lock(path: &Path) -> Result<Lock, FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = PathBuf::from(name);
    create_folder(folder_of(&beside))?;
    let failed = |error| FileError::Io(beside.clone(), error);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    loop {
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(Lock(file)),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn create_folder(folder: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| FileError::Io(folder.to_owned(), error))
}
