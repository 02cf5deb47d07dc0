//! The history of the chat over a restart of the front and of the agent.
//!
//! Not its delivery to members. Its file is read at the start, and written by a process of its own. Invariants: once the agent
//! serves, nothing waits for the file; what waits for the writer takes no more memory than the history; a file that cannot
//! be read or written costs the messages in it and nothing else.

mod file;
mod forgotten_rooms;
pub mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mio::Registry;

use self::forgotten_rooms::ForgottenRooms;
use self::writer::{After, Writer};
use super::{Supervisor, limits};
use crate::agent::chat::{Earlier, History, SavedHistory};
use crate::duration;
use crate::time::Instant;

/// Configuration of the history.
#[derive(Clone, Default, Debug)]
pub struct ChatHistorySettings {
    /// Number of messages that are kept for those who join later; 0 for none.
    pub messages: usize,
    /// File of the messages, which survives a restart.
    pub file: Option<PathBuf>,
}

/// The history, and what is to be written of it.
#[derive(Default)]
pub(super) struct ChatHistory {
    kept: History,
    path: Option<PathBuf>,
    /// Lock of the file: another agent of the same user has a chat of its own.
    lock: Option<File>,
    writer: Option<Writer>,
    /// End of the writer before.
    after: After,
    /// Messages that the writer has not taken. It is as bounded as what is kept, so that what it loses is not kept either.
    waiting: History,
    /// Marks of forgotten rooms. They go before the messages that wait, and again to the next writer after a failure.
    forgotten: ForgottenRooms,
    /// Time since which some wait.
    behind: Option<Instant>,
    /// True if a failure was logged.
    has_failed: bool,
    /// Time from which a writer may be started, and the one before, which must be gone.
    next_start: Instant,
    before: Option<i32>,
}

impl ChatHistory {
    /// Returns the history of at most `most` messages of each room that is in a file. With `most` 0 the file is removed.
    fn open(most: usize, path: Option<&Path>) -> Self {
        let mut history = Self {
            kept: History::new(most),
            waiting: History::new(most),
            path: path.filter(|_| most > 0).map(Path::to_owned),
            ..Self::default()
        };
        let Some(path) = path else {
            return history;
        };
        let kept = file::lock(path).and_then(|lock| {
            history.lock = Some(lock);
            if most == 0 {
                file::remove(path).map(|()| History::new(0))
            } else {
                file::read(path, most)
            }
        });
        match kept {
            Ok(kept) => history.kept = kept,
            Err(error) => {
                let path = path.display();
                tracing::warn!(
                    "{path}: {error}; the history of the chat does not survive a restart"
                );
                history.path = None;
            }
        }
        history
    }

    /// Adds a message that has just been said.
    fn add(&mut self, now: Instant, said: Earlier) {
        let entry = said.bounded(unix_ms());
        if entry.is_forgotten() {
            self.waiting.remove(entry.room.as_ref());
        }
        if let Some(entry) = self.kept.apply(entry)
            && self.path.is_some()
        {
            if entry.is_forgotten() {
                self.forgotten.add(entry);
            } else {
                self.waiting.push(entry);
            }
            self.behind.get_or_insert(now);
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
            now,
            earlier: self.kept.iter().map(aged).collect(),
        }
    }

    /// Sends what waits, as far as the writer takes it.
    fn send(&mut self, now: Instant) {
        if let Some(writer) = &mut self.writer
            && writer.send(&mut self.forgotten, &mut self.waiting)
        {
            self.behind = None;
        }
        let is_late = |since: Instant| now.since(since) >= limits::CHAT_FILE;
        if self.behind.is_some_and(is_late) {
            self.log("the file system does not answer");
        }
    }

    /// Logs a failure, unless one was logged.
    fn log(&mut self, reason: &str) {
        if let Some(path) = &self.path
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let path = path.display();
            tracing::warn!("{path}: {reason}; the history of the chat may not survive a restart");
        }
    }

    /// Takes the end of the writer, if it has ended.
    fn poll_end(&mut self, now: Instant, registry: &Registry) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        let Some(result) = writer.poll() else {
            return;
        };
        writer.deregister(registry);
        self.before = writer.pid();
        self.writer = None;
        if let Err(reason) = result {
            self.next_start = now + limits::CHAT_FILE_RETRY;
            // What it was sent and has not written is among them.
            self.after = After::Failure;
            self.waiting = self.kept.clone();
            self.forgotten.send_again();
            self.behind.get_or_insert(now);
            self.log(&reason);
        } else {
            self.after = After::Success;
            self.forgotten.on_written();
        }
    }

    /// Lets what waits be written, for a bounded time.
    fn finish(&mut self, registry: &Registry) {
        let until = std::time::Instant::now() + limits::CHAT_FILE_ENDS;
        loop {
            self.poll_end(Instant::ZERO, registry);
            let Some(writer) = &mut self.writer else {
                return;
            };
            if writer.send(&mut self.forgotten, &mut self.waiting) {
                writer.end();
            }
            if !writer.wait(until) {
                writer.kill();
                self.has_failed = false;
                return self.log("the file system does not answer");
            }
        }
    }
}

impl Supervisor {
    /// Keeps a history of the chat, from its file on.
    pub fn set_chat_history(&mut self, settings: &ChatHistorySettings) {
        let file = settings.file.as_deref();
        self.chat_history = ChatHistory::open(settings.messages, file);
    }

    /// Keeps a message of the chat.
    pub(super) fn keep_said(&mut self, now: Instant, said: Earlier) {
        self.chat_history.add(now, said);
        self.write_chat_history(now);
    }

    /// Sends messages of the chat that wait to the writer of their file, which is started if there is none.
    pub(super) fn write_chat_history(&mut self, now: Instant) {
        let history = &mut self.chat_history;
        history.poll_end(now, &self.registry);
        let is_gone = |pid: i32| !self.predecessors.contains(&pid);
        if history.writer.is_none()
            && history.behind.is_some()
            && history.next_start <= now
            && history.before.is_none_or(is_gone)
            && let Some(path) = &history.path
        {
            let file = (path.as_path(), history.kept.most(), history.after);
            let program = self.own_program.as_ref();
            match Writer::start(program, file, &self.registry, &mut self.predecessors) {
                Ok(writer) => history.writer = Some(writer),
                Err(error) => {
                    history.next_start = now + limits::CHAT_FILE_RETRY;
                    history.log(&error.to_string());
                }
            }
        }
        history.send(now);
    }

    /// Polls the writer for room if messages wait for it. Call it before each wait.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub(super) fn wait_for_chat_writer(&mut self) -> io::Result<()> {
        let waiting = self.chat_history.behind.is_some();
        match &mut self.chat_history.writer {
            Some(writer) => writer.wait_for_room(&self.registry, waiting),
            None => Ok(()),
        }
    }

    /// Lets the messages of the chat be written. Returns true once they are, or cannot be.
    pub(super) fn end_chat_writer(&mut self, now: Instant) -> bool {
        self.write_chat_history(now);
        let history = &mut self.chat_history;
        if history.behind.is_none()
            && let Some(writer) = &mut history.writer
        {
            writer.end();
        }
        history.writer.is_none()
    }

    /// Lets the messages of the chat be written at the end of the agent.
    pub(super) fn finish_chat_history(&mut self, now: Instant) {
        self.write_chat_history(now);
        self.chat_history.finish(&self.registry);
    }
}

/// Time since 1970 by the clock of the machine, in milliseconds.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    duration::millis(since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an empty history of at most nine messages of each room, in a file.
    fn of_nine(path: &Path) -> ChatHistory {
        ChatHistory {
            kept: History::new(9),
            waiting: History::new(9),
            path: Some(path.to_owned()),
            ..ChatHistory::default()
        }
    }

    fn start_writer(history: &mut ChatHistory, poll: &mio::Poll) {
        let path = history.path.clone().expect("it has a file");
        let file = (path.as_path(), 9, history.after);
        let writer = Writer::start(None, file, poll.registry(), &mut Vec::new());
        history.writer = Some(writer.unwrap());
    }

    #[test]
    fn what_a_writer_was_sent_and_has_not_written_at_its_failure_is_sent_to_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        let poll = mio::Poll::new().unwrap();
        let mut history = of_nine(&path);
        let now = Instant::ZERO;
        let start = |history: &mut ChatHistory| start_writer(history, &poll);
        history.add(now, Earlier::new(0, None, "ann", "written"));
        start(&mut history);
        history.finish(poll.registry());
        // No file can be made there.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        history.add(now, Earlier::new(0, None, "ann", "lost"));
        start(&mut history);
        while history.writer.is_some() {
            history.send(now);
            history.poll_end(now, poll.registry());
            std::thread::yield_now();
        }
        std::fs::remove_dir(&path).unwrap();
        for _ in 0..2 {
            start(&mut history);
            history.finish(poll.registry());
            let texts = file::read(&path, 9).unwrap();
            let texts: Vec<_> = texts.iter().map(|entry| entry.text.clone()).collect();
            assert_eq!(texts, ["written", "lost"]);
            // As after another failure.
            history.waiting = history.kept.clone();
            history.after = After::Failure;
        }
    }

    #[test]
    fn a_room_that_was_forgotten_while_its_writer_failed_does_not_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        let poll = mio::Poll::new().unwrap();
        let mut history = of_nine(&path);
        let now = Instant::ZERO;
        let start = |history: &mut ChatHistory| start_writer(history, &poll);
        let room = |name: &str| name.parse::<crate::message::RoomName>().unwrap();
        let said = |name: &str, text: &str| Earlier::new(0, Some(room(name)), "ann", text);
        for name in ["gone", "anew", "kept"] {
            history.add(now, said(name, "old"));
        }
        start(&mut history);
        history.finish(poll.registry());
        let before = std::fs::read(&path).unwrap();
        // No file can be made there.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        history.add(now, Earlier::forgotten(0, room("gone")));
        history.add(now, Earlier::forgotten(0, room("anew")));
        history.add(now, said("anew", "new"));
        start(&mut history);
        while history.writer.is_some() {
            history.send(now);
            history.poll_end(now, poll.registry());
            std::thread::yield_now();
        }
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, before).unwrap();
        start(&mut history);
        history.finish(poll.registry());
        let kept = file::read(&path, 9).unwrap();
        let mut kept: Vec<_> = kept
            .iter()
            .map(|entry| (entry.room.clone().unwrap(), entry.text.as_str()))
            .collect();
        kept.sort();
        assert_eq!(kept, [(room("anew"), "new"), (room("kept"), "old")]);
        // Nothing is sent again after a writer that has ended well.
        history.forgotten.send_again();
        assert!(history.forgotten.is_sent());
    }
}
