//! File of the lines typed at the prompts of chats, for the line editor of the next one.
//!
//! Not a record of the chat: it is bounded and may be deleted at any time. Invariants: only the owner may read the file;
//! several programs add lines without removing each other's.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::limits;
use crate::home::{self, FileError, Readers};

/// Attempts to lock the file for one line. A holder writes one line, or replaces the file.
const ATTEMPTS: u32 = 20;

/// Time between attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Lines typed before, and those that are typed now.
pub trait EarlierLines: Send {
    /// Returns the newest lines, oldest first.
    fn load(&self) -> Vec<String>;

    /// Adds a line.
    ///
    /// # Errors
    /// Why it is not there for the next prompt, in one line.
    fn add(&mut self, line: &str) -> Result<(), String>;
}

/// Lines typed before, in a file.
#[derive(Debug)]
pub struct LineHistory {
    path: PathBuf,
}

impl LineHistory {
    /// Creates the history in a file, which need not exist.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn append(&self, line: &str) -> Result<(), FileError> {
        let failed = |error| FileError::Io(self.path.clone(), error);
        let mut attempts = 0..ATTEMPTS;
        let lock = loop {
            match home::try_lock(&self.path)? {
                Some(lock) => break lock,
                None if attempts.next().is_some() => std::thread::sleep(PAUSE),
                None => return Err(failed(io::ErrorKind::WouldBlock.into())),
            }
        };
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(failed)?;
        let before = file.metadata().map_err(failed)?.len();
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            // A part of it would be the beginning of the next line.
            let _ = file.set_len(before);
            return Err(failed(error));
        }
        let length = file.metadata().map_or(0, |meta| meta.len());
        drop(file);
        if length > 2 * limits::HISTORY_BYTES as u64 {
            let text = self.load().join("\n") + "\n";
            let _ = home::replace_unsynced(&self.path, text.as_bytes());
        }
        drop(lock);
        Ok(())
    }
}

impl EarlierLines for LineHistory {
    /// A file that cannot be used counts as empty.
    fn load(&self) -> Vec<String> {
        let Ok(Some(bytes)) = home::read_bytes(&self.path, Readers::Owner) else {
            return Vec::new();
        };
        newest(&String::from_utf8_lossy(&bytes))
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        self.append(line).map_err(|error| error.to_string())
    }
}

/// Returns the newest lines of a text within the bounds, oldest first.
fn newest(text: &str) -> Vec<&str> {
    let mut bytes = 0;
    let fits = |line: &&str| {
        bytes += line.len() + 1;
        bytes <= limits::HISTORY_BYTES
    };
    let lines = text.lines().rev().filter(|line| !line.is_empty());
    let lines = lines.take_while(fits).take(limits::HISTORY_LINES);
    let mut lines: Vec<_> = lines.collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn several_programs_keep_each_others_lines_in_a_private_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/chat_history");
        let history = || LineHistory::new(path.clone());
        assert!(history().load().is_empty());
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let mut history = history();
                scope.spawn(move || {
                    for number in 0..20 {
                        history.add(&format!("{writer} {number}")).unwrap();
                    }
                });
            }
        });
        let lines = history().load();
        assert_eq!(lines.len(), 80);
        for writer in 0..4 {
            let of = lines
                .iter()
                .filter(|line| line.starts_with(&format!("{writer} ")));
            let wanted: Vec<_> = (0..20).map(|number| format!("{writer} {number}")).collect();
            assert_eq!(of.cloned().collect::<Vec<_>>(), wanted);
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_line_that_cannot_be_written_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat_history");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let reason = LineHistory::new(path.clone()).add("lost").unwrap_err();
        let expected = format!("{}: No space left on device", path.display());
        assert!(reason.starts_with(&expected), "{reason}");
    }

    #[test]
    fn the_file_is_bounded_and_keeps_the_newest_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat_history");
        let mut history = LineHistory::new(path.clone());
        let long = "x".repeat(limits::HISTORY_BYTES / 8);
        for number in 0..50 {
            history.add(&format!("{number} {long}")).unwrap();
        }
        let length = fs::metadata(&path).unwrap().len();
        assert!(length <= 2 * limits::HISTORY_BYTES as u64, "{length} bytes");
        let lines = history.load();
        assert!(lines.len() >= 4, "{} lines", lines.len());
        assert!(lines.last().unwrap().starts_with("49 x"));
        let many: Vec<_> = (0..5000).map(|number| number.to_string()).collect();
        let many = many.join("\n");
        let kept = newest(&many);
        assert_eq!(kept.len(), limits::HISTORY_LINES);
        assert_eq!(kept.last(), Some(&"4999"));
    }
}
