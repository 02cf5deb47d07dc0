//! The file to which records are appended, or standard error.
//!
//! Not here: the contents of records, and the [file](super::file) itself. A record is one `write(2)` at its end
//! (`O_APPEND`), complete before the call returns. Invariant: the file is at the path itself, and is checked with
//! each record.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::Unwritten;
use super::file::{AuditFile, OpenError, check, is_torn, open, write};

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

/// Writer of records.
#[derive(Debug)]
pub struct Log {
    target: Target,
    demand: Demand,
    /// True if the last line is there in part.
    torn: bool,
    /// Number of records in a row that could not be written.
    failed: u64,
    reported: Option<Instant>,
}

#[derive(Debug)]
enum Target {
    Stderr,
    Path(PathBuf, Option<AuditFile>),
}

impl Log {
    /// Opens the file.
    ///
    /// # Errors
    /// [`OpenError`] if records are required. Otherwise opening is tried again with every record.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let Config { file, demand } = config;
        let mut torn = false;
        let target = match file {
            None => Target::Stderr,
            Some(path) => {
                let opened = match (open(&path), demand) {
                    (Err(error), Demand::Required) => return Err(error),
                    (opened, _) => opened.ok(),
                };
                torn = opened.is_some() && is_torn(&path);
                Target::Path(path, opened)
            }
        };
        Ok(Self {
            target,
            demand,
            torn,
            failed: 0,
            reported: None,
        })
    }

    fn append(&mut self, line: &[u8]) -> Result<(), OpenError> {
        match &mut self.target {
            Target::Stderr => write(&mut Stderr(io::stderr().lock()), line, &mut self.torn)
                .map_err(|torn| torn.error),
            Target::Path(path, opened) => {
                // A rotation moved our file away: the path has another file now, or none.
                let there = std::fs::symlink_metadata(&*path).ok();
                let is_there =
                    |file: &AuditFile| there.as_ref().is_some_and(|there| file.is(there));
                let file = if let Some(file) = opened.take().filter(is_there) {
                    there.as_ref().map(check).transpose()?;
                    file
                } else {
                    let file = open(path)?;
                    self.torn = is_torn(path);
                    file
                };
                let opened = opened.insert(file);
                opened.write(line, &mut self.torn)
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

    /// Appends the line of a record. A failure is logged, at most once a minute.
    ///
    /// # Errors
    /// [`Unwritten`], also if records are not required.
    pub fn append_line(&mut self, line: &[u8]) -> Result<(), Unwritten> {
        if let Err(error) = self.append(line) {
            self.failed = self.failed.saturating_add(1);
            self.report(&error);
            return Err(Unwritten);
        }
        Ok(())
    }

    /// Notes that a record was written, and not only the number of those that are missing before it.
    pub fn on_written(&mut self) {
        let failed = std::mem::take(&mut self.failed);
        if failed > 0 {
            self.reported = None;
            tracing::info!("audit records are written again; {failed} could not be written");
        }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::agent::audit::{Event, Record};
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

    impl Log {
        fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten> {
            self.append_line(&record.to_line_now())
        }
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
        assert_eq!(lenient.put(&record(1)), Err(Unwritten));
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
    fn a_record_on_a_full_disk_is_unwritten_whether_it_is_required_or_not() {
        let full = Path::new("/dev/full");
        for demand in [Demand::Required, Demand::Wanted] {
            let mut log = log(full, demand).unwrap();
            assert_eq!(log.put(&record(1)), Err(Unwritten));
        }
    }

    #[test]
    fn a_file_that_others_may_write_to_gets_no_further_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let mut log = log(&path, Demand::Wanted).unwrap();
        log.put(&record(1)).unwrap();
        let set_mode = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o602);
        assert_eq!(log.put(&record(2)), Err(Unwritten));
        set_mode(0o640);
        log.put(&record(3)).unwrap();
        let pids: Vec<_> = lines(&path)
            .iter()
            .map(|line| line["pid"].clone())
            .collect();
        assert_eq!(pids, [1, 3]);
    }
}
