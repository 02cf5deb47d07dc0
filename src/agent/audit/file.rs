//! The file to which records are appended.
//!
//! Not when it is opened. Invariants: it belongs to the agent's user or root, and nobody else may write to it; symbolic
//! links are refused. A line that was written in part is cut off again, or the next line begins on a line of its own.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Reason why a file cannot be appended to.
#[derive(Debug)]
pub enum OpenError {
    /// The system reported an error.
    System(io::Error),
    /// It is a symbolic link.
    Link,
    /// It is a directory, a pipe or another special file.
    Kind,
    /// Other users could change it, by its owner or its mode.
    Permissions,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Link => f.write_str("is a symbolic link; name the file itself"),
            Self::Kind => f.write_str("is not a regular file"),
            Self::Permissions => f.write_str(
                "others may write to it; it must belong to the agent's user or root, with mode 0600 or 0640",
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// A file that was opened.
#[derive(Debug)]
pub(super) struct AuditFile {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
}

impl AuditFile {
    /// True if it is the file of this description.
    pub(super) fn is(&self, there: &Metadata) -> bool {
        (there.dev(), there.ino()) == self.identity
    }

    /// Writes a line, or nothing of it if the file can be cut.
    pub(super) fn write(&mut self, line: &[u8], torn: &mut bool) -> io::Result<()> {
        let before = *torn;
        let Err(Torn { written, error }) = write(&mut self.file, line, torn) else {
            return Ok(());
        };
        if written > 0 && self.cut(written).is_ok() {
            *torn = before;
        }
        Err(error)
    }

    /// Removes the bytes that were written last, unless others have been written behind them.
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        // A write moves the position to the end of what it has appended.
        let end = self.file.stream_position()?;
        match end.checked_sub(bytes) {
            Some(length) if self.file.metadata()?.len() == end => self.file.set_len(length),
            Some(_) | None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Returns true if a file ends with an unfinished line, which another program has left. If it cannot be read, that is
/// not known.
pub(super) fn is_torn(path: &Path) -> bool {
    let flags = OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(flags.bits().cast_signed());
    let last = options.open(path).and_then(|mut file| {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last)
    });
    last.is_ok_and(|last| last != *b"\n")
}

/// Error of a line that was not written whole.
#[derive(Debug)]
pub(super) struct Torn {
    /// Bytes that were written.
    written: u64,
    /// Reason for which the rest was not.
    pub error: io::Error,
}

/// Writes a line with one call, if the system accepts it whole, which files do. Begins a new line
/// if the last one was written in part.
pub(super) fn write(to: &mut impl Write, line: &[u8], torn: &mut bool) -> Result<(), Torn> {
    let whole = if *torn {
        [b"\n", line].concat()
    } else {
        line.to_owned()
    };
    let mut rest = &whole[..];
    while !rest.is_empty() {
        let error = match to.write(rest) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(length) => {
                rest = &rest[length..];
                *torn = !rest.is_empty();
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        let written = (whole.len() - rest.len()) as u64;
        return Err(Torn { written, error });
    }
    Ok(())
}

/// Opens a file, or creates it.
///
/// # Errors
/// [`OpenError`]
pub(super) fn open(path: &Path) -> Result<AuditFile, OpenError> {
    // Without O_NONBLOCK, opening a FIFO would block until it has a reader.
    let flags = OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| match std::fs::symlink_metadata(path) {
            Ok(there) if there.is_symlink() => OpenError::Link,
            Ok(_) | Err(_) => OpenError::System(error),
        })?;
    let there = file.metadata().map_err(OpenError::System)?;
    let identity = (there.dev(), there.ino());
    check(&there)?;
    Ok(AuditFile { file, identity })
}

/// Checks that nobody else may write to a file.
pub(super) fn check(there: &Metadata) -> Result<(), OpenError> {
    // A character device, such as /dev/full or a console, belongs to the system.
    if there.file_type().is_char_device() {
        return Ok(());
    }
    if !there.is_file() {
        return Err(OpenError::Kind);
    }
    let owner = there.uid();
    let ours = owner == geteuid().as_raw() || owner == 0;
    if !ours || there.mode() & 0o022 != 0 {
        return Err(OpenError::Permissions);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_line_written_in_part_does_not_damage_the_next() {
        /// Accepts this many bytes and is full.
        struct Disk(Vec<u8>, usize);

        impl Write for Disk {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let length = bytes.len().min(self.1);
                if length == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0.extend_from_slice(&bytes[..length]);
                self.1 -= length;
                Ok(length)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let (mut disk, mut torn) = (Disk(Vec::new(), 3), false);
        assert!(write(&mut disk, b"first\n", &mut torn).is_err());
        assert!(write(&mut disk, b"second\n", &mut torn).is_err());
        disk.1 = 100;
        write(&mut disk, b"third\n", &mut torn).unwrap();
        write(&mut disk, b"fourth\n", &mut torn).unwrap();
        assert_eq!(disk.0, b"fir\nthird\nfourth\n");
    }

    #[test]
    fn a_part_of_a_line_is_cut_off_and_that_of_another_program_gets_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        fs::write(&path, "another").unwrap();
        let (mut opened, mut torn) = (open(&path).unwrap(), is_torn(&path));
        opened.write(b"{}\n", &mut torn).unwrap();
        assert!(!torn && !is_torn(&path));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "another\n{}\n");
        opened.file.write_all(b"half of ").unwrap();
        opened.cut(8).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        // What others have written behind it stays.
        opened.file.write_all(b"half").unwrap();
        let mut other = OpenOptions::new().append(true).open(&path).unwrap();
        other.write_all(b"{}").unwrap();
        assert!(opened.cut(4).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text + "half{}");
    }
}
