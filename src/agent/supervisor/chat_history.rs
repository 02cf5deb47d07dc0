//! The history of the chat over a restart of the front and of the agent.
//!
//! Not its delivery to members. The file has a JSON object on each line, and each message is appended. When it has become
//! too large, a file with what is kept takes its place. It is not synced: a crash of the whole machine may lose the newest
//! messages. Invariants: the file can be read by its owner only and is bounded; a file that cannot be read or written costs
//! the messages in it and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

use super::Supervisor;
use crate::agent::chat::{Earlier, History, SavedHistory};
use crate::agent::limits::CHAT_HISTORY_TOTAL;
use crate::duration;
use crate::message::RoomName;

/// Size above which the file is replaced: what is kept, with each byte as six in JSON, and as much again.
const MOST: u64 = 12 * CHAT_HISTORY_TOTAL as u64;

/// Configuration of the history.
#[derive(Clone, Default, Debug)]
pub struct ChatHistorySettings {
    /// Number of messages that are kept for those who join later; 0 for none.
    pub messages: usize,
    /// File of the messages, which survives a restart.
    pub file: Option<PathBuf>,
}

/// The history, and its file.
#[derive(Default)]
pub(super) struct ChatHistory {
    kept: History,
    file: Option<HistoryFile>,
}

struct HistoryFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl ChatHistory {
    /// Returns the history of at most `most` messages that is in a file. With `most` 0 the file is removed.
    pub(super) fn open(most: usize, path: Option<&Path>) -> Self {
        let mut history = Self {
            kept: History::new(most),
            file: None,
        };
        let Some(path) = path else {
            return history;
        };
        let opened = if most == 0 {
            remove(path).map(|()| None)
        } else {
            history.read(path);
            replace(path, &history.kept).map(Some)
        };
        match opened {
            Ok(file) => history.file = file,
            Err(error) => tracing::warn!(
                "{}: {error}; the history of the chat does not survive a restart",
                path.display()
            ),
        }
        history
    }

    /// Reads the messages of a file. Whatever is no message is skipped.
    fn read(&mut self, path: &Path) {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(
                    "{}: {error}; the history of the chat is lost",
                    path.display()
                );
                return;
            }
        };
        for line in bytes.split(|&byte| byte == b'\n') {
            if let Ok(Earlier {
                at,
                room,
                from,
                text,
            }) = serde_json::from_slice(line)
            {
                self.kept.push(Earlier::new(at, room, &from, &text));
            }
        }
    }

    /// Adds a message that has just been said.
    pub(super) fn add(&mut self, room: Option<RoomName>, from: &str, text: &str) {
        let entry = Earlier::new(unix_ms(), room, from, text);
        let (Some(entry), Some(file)) = (self.kept.push(entry), &mut self.file) else {
            return;
        };
        let written = file.append(entry).and_then(|()| {
            if file.bytes > MOST {
                *file = replace(&file.path, &self.kept)?;
            }
            Ok(())
        });
        if let Err(error) = written {
            tracing::warn!(
                "{}: {error}; the history of the chat does not survive a restart",
                file.path.display()
            );
            self.file = None;
        }
    }

    /// Returns the history for a front, with the ages of the messages as their times.
    pub(super) fn shared(&self) -> SavedHistory {
        let now = unix_ms();
        let aged = |entry: &Earlier| Earlier {
            at: now.saturating_sub(entry.at),
            ..entry.clone()
        };
        SavedHistory {
            most: self.kept.most(),
            earlier: self.kept.iter().map(aged).collect(),
        }
    }
}

impl HistoryFile {
    fn append(&mut self, entry: &Earlier) -> io::Result<()> {
        let line = line(entry);
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

impl Supervisor {
    /// Keeps a history of the chat, from its file on.
    pub fn set_chat_history(&mut self, settings: &ChatHistorySettings) {
        let file = settings.file.as_deref();
        self.chat_history = ChatHistory::open(settings.messages, file);
    }
}

fn line(entry: &Earlier) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).expect("strings and a number are JSON");
    line.push(b'\n');
    line
}

/// Reads the end of a file, within the bound of its size.
fn read(path: &Path) -> io::Result<Vec<u8>> {
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

/// Puts a file with the messages in the place of the one at `path`, in one step.
fn replace(path: &Path, kept: &History) -> io::Result<HistoryFile> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
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
    Ok(HistoryFile {
        path: path.to_owned(),
        file,
        bytes: lines.len() as u64,
    })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Time since 1970 by the clock of the machine, in milliseconds.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    duration::millis(since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn texts(history: &ChatHistory) -> Vec<String> {
        let shared = history.shared().earlier;
        shared.into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn the_history_survives_a_restart_and_a_torn_write_loses_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/chat");
        let mut history = ChatHistory::open(3, Some(&path));
        for number in 0..5 {
            history.add(None, "ann", &format!("{number}\n\u{1b}[2J"));
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let kept = ["2\n\u{1b}[2J", "3\n\u{1b}[2J", "4\n\u{1b}[2J"];
        assert_eq!(texts(&ChatHistory::open(3, Some(&path))), kept);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"at\":1,\"from\":\"ann\",\"te").unwrap();
        assert_eq!(texts(&ChatHistory::open(9, Some(&path))), kept);
        // The torn line is gone, so that the next one is whole.
        let mut history = ChatHistory::open(9, Some(&path));
        history.add(None, "bob", "next");
        assert_eq!(texts(&ChatHistory::open(1, Some(&path))), ["next"]);
        fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(texts(&ChatHistory::open(9, Some(&path))), [""; 0]);
    }

    #[test]
    fn the_file_of_the_history_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        let mut history = ChatHistory::open(100, Some(&path));
        let text = "\u{1}".repeat(4000);
        for _ in 0..500 {
            history.add(None, "ann", &text);
            assert!(fs::metadata(&path).unwrap().len() <= MOST);
        }
        assert!(texts(&ChatHistory::open(100, Some(&path))).len() > 10);
    }

    #[test]
    fn a_history_of_no_messages_is_not_written_and_an_earlier_one_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        ChatHistory::open(3, Some(&path)).add(None, "ann", "hello");
        assert!(path.exists());
        let mut history = ChatHistory::open(0, Some(&path));
        history.add(None, "ann", "hello");
        assert!(!path.exists());
        assert!(texts(&history).is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_used_costs_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        fs::create_dir(&path).unwrap();
        let mut history = ChatHistory::open(3, Some(&path));
        history.add(None, "ann", "hello");
        assert_eq!(texts(&history), ["hello"]);
    }
}
