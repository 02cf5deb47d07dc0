//! The file of the chat's history.
//!
//! It has a JSON object on each line, and each message is appended. When it has become too large, a file with what is kept
//! takes its place. It is not synced: a crash of the whole machine may lose the newest messages. Not its use by the
//! supervisor, which never waits for it once the agent serves. Invariants: the file can be read by its owner only and is
//! bounded; a line that is no message is skipped.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::agent::chat::{Earlier, History};
use crate::agent::limits::CHAT_HISTORY_TOTAL;

/// Size above which the file is replaced: what is kept, with each byte as six in JSON, and as much again.
const MOST: u64 = 12 * CHAT_HISTORY_TOTAL as u64;

/// The file, open for appending.
pub(super) struct HistoryFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Messages that the file keeps.
    kept: History,
    /// True if messages may come that are in it.
    may_repeat: bool,
}

impl HistoryFile {
    /// Replaces the file by one with those of its messages that are kept.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn open(path: &Path, most: usize) -> io::Result<Self> {
        let kept = read(path, most)?;
        let (file, bytes) = replace(path, &kept)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            kept,
            may_repeat: false,
        })
    }

    /// Leaves out messages that are in it already.
    pub(super) const fn set_may_repeat(&mut self) {
        self.may_repeat = true;
    }

    /// Appends a message, or the mark that those of a room are forgotten.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn append(&mut self, entry: Earlier) -> io::Result<()> {
        let mut known = self.kept.last(entry.room.as_ref(), usize::MAX);
        if self.may_repeat && known.any(|known| *known == entry) {
            return Ok(());
        }
        drop(known);
        let Some(entry) = self.kept.apply(entry) else {
            return Ok(());
        };
        let line = line(&entry);
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        if self.bytes > MOST {
            (self.file, self.bytes) = replace(&self.path, &self.kept)?;
        }
        Ok(())
    }
}

/// Locks the history for this agent, by a file beside it, which stays.
///
/// # Errors
/// Another agent has it, or the file cannot be made.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    make_directory(path)?;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.cast_signed())
        .open(path.with_extension("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another agent uses it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns the line of a message.
pub(super) fn line(entry: &Earlier) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).expect("strings and a number are JSON");
    line.push(b'\n');
    line
}

/// Returns the message of a line.
pub(super) fn parse(line: &[u8]) -> Option<Earlier> {
    let earlier: Earlier = serde_json::from_slice(line).ok()?;
    let at = earlier.at;
    Some(earlier.bounded(at))
}

/// Reads at most `most` messages of each room. Without the file, there are none.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(path: &Path, most: usize) -> io::Result<History> {
    let mut history = History::new(most);
    let bytes = match read_end(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(history),
        Err(error) => return Err(error),
    };
    for entry in bytes.split(|&byte| byte == b'\n').filter_map(parse) {
        history.apply(entry);
    }
    Ok(history)
}

/// Removes the file, if it exists.
///
/// # Errors
/// Those of `unlink(2)`.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads the end of a file, within the bound of its size.
fn read_end(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = flags.cast_signed();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let begin = metadata.len().saturating_sub(2 * MOST);
    io::Seek::seek(&mut file, io::SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(2 * MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn make_directory(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Puts a file with the messages in the place of the one at `path`, in one step. Returns it and its size.
fn replace(path: &Path, kept: &History) -> io::Result<(File, u64)> {
    make_directory(path)?;
    let new = path.with_extension("new");
    // One that an earlier program has left may have another mode.
    remove(&new)?;
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .mode(0o600)
        .open(&new)?;
    let lines: Vec<u8> = kept.iter().flat_map(line).collect();
    file.write_all(&lines)?;
    fs::rename(&new, path)?;
    Ok((file, lines.len() as u64))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn texts(path: &Path, most: usize) -> Vec<String> {
        let history = read(path, most).unwrap();
        history.iter().map(|entry| entry.text.clone()).collect()
    }

    fn said(text: &str) -> Earlier {
        Earlier::new(1, None, "ann", text)
    }

    #[test]
    fn the_history_survives_a_restart_and_a_torn_write_loses_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/chat");
        let mut history = HistoryFile::open(&path, 3).unwrap();
        for number in 0..5 {
            history
                .append(said(&format!("{number}\n\u{1b}[2J")))
                .unwrap();
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let kept = ["2\n\u{1b}[2J", "3\n\u{1b}[2J", "4\n\u{1b}[2J"];
        assert_eq!(texts(&path, 3), kept);
        HistoryFile::open(&path, 3).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"at\":1,\"from\":\"ann\",\"te").unwrap();
        assert_eq!(texts(&path, 9), kept);
        // The torn line is gone, so that the next one is whole.
        let mut history = HistoryFile::open(&path, 9).unwrap();
        history.append(said("next")).unwrap();
        assert_eq!(texts(&path, 1), ["next"]);
        fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(texts(&path, 9), [""; 0]);
    }

    #[test]
    fn a_room_that_was_forgotten_is_not_in_the_file_and_may_begin_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        let mut history = HistoryFile::open(&path, 100).unwrap();
        let room: crate::message::RoomName = "build".parse().unwrap();
        let in_room = |text: &str| Earlier::new(1, Some(room.clone()), "ann", text);
        history.append(said("kept")).unwrap();
        history.append(in_room("old")).unwrap();
        history.append(Earlier::forgotten(2, room.clone())).unwrap();
        assert_eq!(texts(&path, 100), ["kept"]);
        history.append(in_room("new")).unwrap();
        assert_eq!(texts(&path, 100), ["kept", "new"]);
        HistoryFile::open(&path, 100).unwrap();
        assert_eq!(texts(&path, 100), ["kept", "new"]);
    }

    #[test]
    fn the_file_of_the_history_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        let mut history = HistoryFile::open(&path, 100).unwrap();
        let text = "\u{1}".repeat(4000);
        for _ in 0..500 {
            history.append(said(&text)).unwrap();
            assert!(fs::metadata(&path).unwrap().len() <= MOST);
        }
        assert!(texts(&path, 100).len() > 10);
    }

    #[test]
    fn one_agent_at_a_time_has_the_history() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/chat");
        let first = lock(&path).unwrap();
        let error = lock(&path).unwrap_err().to_string();
        assert_eq!(error, "another agent uses it");
        drop(first);
        lock(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_none_is_an_error_and_a_missing_one_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        assert_eq!(texts(&path, 9), [""; 0]);
        remove(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(&path, 9).is_err());
        assert!(HistoryFile::open(&path, 9).is_err());
    }
}
