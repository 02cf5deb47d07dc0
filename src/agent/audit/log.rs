//! The file to which records are appended, or standard error.
//!
//! Not here: the contents of records. A record is one `write(2)` at the end of the file
//! (`O_APPEND`), complete before the call returns. Invariant: the file opened is at the path itself
//! and belongs to the agent's user or root; symbolic links and files that others may write are
//! refused.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::{Audit, Record, Unwritten};

/// Minimum time between two log messages about a record that could not be written.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Behaviour when a record cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// The error is logged, and the recorded action goes on.
    Wanted,
    /// The recorded action is refused.
    Required,
}

/// Configuration of the records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The file; `None` for standard error.
    pub file: Option<PathBuf>,
    /// Behaviour when a record cannot be written.
    pub demand: Demand,
}

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

/// Writer of records.
#[derive(Debug)]
pub struct Log {
    target: Target,
    demand: Demand,
    /// True if the last line was written in part.
    torn: bool,
    reported: Option<Instant>,
}

#[derive(Debug)]
enum Target {
    Stderr,
    Path(PathBuf, Option<Opened>),
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
}

impl Log {
    /// Opens the file.
    ///
    /// # Errors
    /// [`OpenError`] if records are required. Otherwise opening is tried again with every record.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let Config { file, demand } = config;
        let target = match file {
            None => Target::Stderr,
            Some(path) => {
                let opened = match (open(&path), demand) {
                    (Err(error), Demand::Required) => return Err(error),
                    (opened, _) => opened.ok(),
                };
                Target::Path(path, opened)
            }
        };
        Ok(Self {
            target,
            demand,
            torn: false,
            reported: None,
        })
    }

    fn append(&mut self, line: &[u8]) -> Result<(), OpenError> {
        match &mut self.target {
            Target::Stderr => write(&mut Stderr(io::stderr().lock()), line, &mut self.torn),
            Target::Path(path, opened) => {
                // A rotation moved our file away: the path has another file now, or none.
                let there = std::fs::symlink_metadata(&*path).ok();
                let there = there.map(|there| (there.dev(), there.ino()));
                let opened = match opened.take() {
                    Some(file) if there == Some(file.identity) => opened.insert(file),
                    Some(_) | None => {
                        self.torn = false;
                        opened.insert(open(path)?)
                    }
                };
                write(&mut opened.file, line, &mut self.torn)
            }
        }
        .map_err(OpenError::System)
    }

    fn report(&mut self, error: &OpenError) {
        let now = Instant::now();
        if self
            .reported
            .is_some_and(|then| now - then < REPORT_INTERVAL)
        {
            return;
        }
        self.reported = Some(now);
        let place = match &self.target {
            Target::Stderr => Path::new("standard error"),
            Target::Path(path, _) => path,
        };
        let place = place.display();
        match self.demand {
            Demand::Wanted => tracing::error!("{place}: {error}; commands run without a record"),
            Demand::Required => tracing::error!("{place}: {error}; no command runs"),
        }
    }
}

impl Log {
    /// Appends the line of a record.
    ///
    /// # Errors
    /// [`Unwritten`] if records are required. Otherwise a failure is only logged.
    pub fn append_line(&mut self, line: &[u8]) -> Result<(), Unwritten> {
        match self.append(line) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.report(&error);
                match self.demand {
                    Demand::Wanted => Ok(()),
                    Demand::Required => Err(Unwritten),
                }
            }
        }
    }
}

impl Audit for Log {
    fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten> {
        self.append_line(&record.to_line_now())
    }
}

/// Standard error, also if another program has made it non-blocking; no other thread writes meanwhile.
struct Stderr(io::StderrLock<'static>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Interrupted or not: the next write tells.
                    let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to standard error, and waits as long as that takes.
///
/// # Errors
/// Those of `write(2)`.
pub fn write_stderr(line: &[u8]) -> io::Result<()> {
    Stderr(io::stderr().lock()).write_all(line)
}

/// Writes a line with one call, if the system accepts it whole, which files do. Begins a new line
/// if the last one was written in part.
fn write(to: &mut impl Write, line: &[u8], torn: &mut bool) -> io::Result<()> {
    let whole = if *torn {
        [b"\n", line].concat()
    } else {
        line.to_owned()
    };
    let mut rest = &whole[..];
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                rest = &rest[length..];
                *torn = !rest.is_empty();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Opened, OpenError> {
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
    // A character device, such as /dev/full or a console, belongs to the system.
    if !there.file_type().is_char_device() {
        if !there.is_file() {
            return Err(OpenError::Kind);
        }
        let owner = there.uid();
        let ours = owner == geteuid().as_raw() || owner == 0;
        if !ours || there.mode() & 0o022 != 0 {
            return Err(OpenError::Permissions);
        }
    }
    Ok(Opened { file, identity })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::agent::audit::Event;
    use crate::crypto::PublicKey;
    use crate::message::RequestId;

    fn record(pid: i32) -> Record<'static> {
        Record {
            key: Some(PublicKey([1; 32])),
            name: Some("alice"),
            address: Some(std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into()),
            request: Some(RequestId([1; 16])),
            event: Event::Started { pid },
        }
    }

    fn log(path: &Path, demand: Demand) -> Result<Log, OpenError> {
        let file = Some(path.to_owned());
        Log::open(Config { file, demand })
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn the_audit_file_is_created_private_and_follows_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let mut log = log(&path, Demand::Required).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        log.put(&record(1)).unwrap();
        let away = directory.path().join("audit.1");
        fs::rename(&path, &away).unwrap();
        log.put(&record(2)).unwrap();
        assert_eq!(lines(&away)[0]["pid"], 1);
        fs::rename(&path, &away).unwrap();
        fs::write(&path, "{}\n").unwrap();
        log.put(&record(3)).unwrap();
        assert_eq!(lines(&away)[0]["pid"], 2);
        assert_eq!(lines(&path)[1]["pid"], 3);
        let time: jiff::Timestamp = lines(&path)[1]["time"].as_str().unwrap().parse().unwrap();
        assert!(jiff::Timestamp::now().duration_since(time).as_secs().abs() < 60);
    }

    #[test]
    fn links_fifos_and_files_of_others_are_not_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let target = directory.path().join("target");
        fs::write(&target, "").unwrap();
        symlink(&target, &path).unwrap();
        assert!(matches!(log(&path, Demand::Required), Err(OpenError::Link)));
        let mut lenient = log(&path, Demand::Wanted).unwrap();
        assert_eq!(lenient.put(&record(1)), Ok(()));
        assert_eq!(fs::read(&target).unwrap(), b"");

        fs::set_permissions(&target, fs::Permissions::from_mode(0o622)).unwrap();
        let refused = log(&target, Demand::Required);
        assert!(
            matches!(refused, Err(OpenError::Permissions)),
            "{refused:?}"
        );
        assert!(log(directory.path(), Demand::Required).is_err());
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert!(
            log(&pipe, Demand::Required).is_err(),
            "opening a FIFO does not block"
        );
        // A link that appears later is not followed either.
        fs::remove_file(&path).unwrap();
        let mut log = log(&path, Demand::Required).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&target, &path).unwrap();
        assert_eq!(log.put(&record(1)), Err(Unwritten));
        assert_eq!(fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn a_full_disk_is_an_error_only_if_a_record_is_required() {
        let full = Path::new("/dev/full");
        let mut required = log(full, Demand::Required).unwrap();
        assert_eq!(required.put(&record(1)), Err(Unwritten));
        assert_eq!(log(full, Demand::Wanted).unwrap().put(&record(1)), Ok(()));
    }

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
}
