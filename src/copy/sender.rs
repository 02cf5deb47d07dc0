//! Sending side of a copy: the walk through the sources, and their bytes out.
//!
//! Not the streams: the caller takes bytes and passes replies in. It performs the file operations in place, so a call may
//! block on a file system, and only there. Invariants: no symbolic link is followed but one that the user has named; an item
//! that cannot be read is passed over and reported, and the rest is sent.

mod items;
mod outgoing;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use self::outgoing::{Outgoing, Step};
use super::directory::Entry;
use super::fault::Fault;
use super::frame::{Counts, FromReceiver, FromSender, Hash, Violation};
use super::library::Library;
use super::limits;
use super::nest::Nest;
use super::parser::{Parser, Part};
use super::report::{Quota, Report, Reports, Side};
use super::scope::Scope;

/// Items to send.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Part of the file system in which they have to lie.
    pub scope: Scope,
    /// True if directories are sent with all that is in them.
    pub recursive: bool,
}

/// Directory that is being sent.
#[derive(Debug)]
struct Level {
    entries: Rc<[Entry]>,
    /// Place of the next one.
    next: usize,
    /// Length of its path.
    path: usize,
    /// Number of the item.
    item: u64,
}

/// Next bytes of a sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pulled {
    /// These.
    Bytes(Bytes),
    /// None yet: another call goes on with the work.
    Busy,
    /// None, before the receiver says something.
    Nothing,
}

/// Sending side of a copy.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct Sender {
    sources: std::vec::IntoIter<PathBuf>,
    scope: Scope,
    recursive: bool,
    library: Rc<Library>,
    levels: Vec<Level>,
    /// Directories of the levels.
    nest: Option<Nest>,
    file: Option<Outgoing>,
    /// Number of the item that was named last.
    item: u64,
    /// Path of the item, for a person.
    path: Vec<u8>,
    /// Frames to send, behind those in `ready`.
    buffer: BytesMut,
    ready: VecDeque<Bytes>,
    /// Items that were not sent.
    troubles: u64,
    /// True if one of them lies outside of the scope.
    is_out_of_scope: bool,
    /// Bytes of all files that were sent, with what was left out.
    progress: u64,
    is_sent: bool,
    parser: Parser,
    /// Content that the receiver holds: item, length and hash.
    have: Option<(u64, u64, Hash)>,
    /// Items that were not written.
    failed: u64,
    result: Option<Counts>,
    /// True if the receiver has asked for the total.
    is_counted: bool,
    is_refused: bool,
    reports: Reports,
    /// Items that may still be named to the receiver.
    told: Quota,
    /// Item of the last HAVE.
    last_had: u64,
}

impl Sender {
    /// Creates the sending side. Nothing is read yet.
    #[must_use]
    pub fn new(sources: Sources, library: Rc<Library>) -> Self {
        let mut buffer = BytesMut::new();
        FromSender::Begin.put(&mut buffer);
        Self {
            sources: sources.paths.into_iter(),
            scope: sources.scope,
            recursive: sources.recursive,
            library,
            levels: Vec::new(),
            nest: None,
            file: None,
            item: 0,
            path: Vec::new(),
            buffer,
            ready: VecDeque::new(),
            troubles: 0,
            is_out_of_scope: false,
            progress: 0,
            is_sent: false,
            parser: Parser::default(),
            have: None,
            failed: 0,
            result: None,
            is_counted: false,
            is_refused: false,
            reports: Reports::default(),
            told: Quota::default(),
            last_had: 0,
        }
    }

    /// Returns the next bytes, after a bounded number of items: each counts as [`limits::FRAME_WORK`] in [`limits::WORK`],
    /// also one that fails and sends nothing.
    pub fn pull(&mut self) -> Pulled {
        let mut budget = limits::WORK;
        while self.ready.is_empty() {
            if self.is_refused {
                return Pulled::Nothing;
            }
            if self.buffer.len() >= limits::CHUNK {
                self.flush();
            } else if let Some(file) = self.file.take() {
                if !self.continue_file(file) {
                    return Pulled::Busy;
                }
            } else if budget == 0 {
                return Pulled::Busy;
            } else if self.begin_next() {
                budget = budget.saturating_sub(limits::FRAME_WORK);
            } else {
                self.flush();
                break;
            }
        }
        self.ready
            .pop_front()
            .map_or(Pulled::Nothing, Pulled::Bytes)
    }

    /// Takes bytes of the receiver.
    ///
    /// # Errors
    /// [`Violation`] if the receiver does not follow the protocol.
    pub fn push(&mut self, mut input: &[u8]) -> Result<(), Violation> {
        let mut parser = std::mem::take(&mut self.parser);
        while let Some(part) = parser.next(&mut input)? {
            let Part::Frame(kind, payload) = part else {
                return Err(Violation("content from the receiver"));
            };
            if self.result.is_some() || self.is_refused {
                return Err(Violation("a frame behind the last"));
            }
            match FromReceiver::decode(kind, &payload)? {
                Some(FromReceiver::Have { item, length, hash }) => {
                    // Each one costs the hash of a part of the file.
                    if item <= self.last_had {
                        return Err(Violation("a second part of a file"));
                    }
                    self.last_had = item;
                    self.have = Some((item, length, hash));
                }
                Some(FromReceiver::Failed { item, fault, path }) => {
                    self.failed += 1;
                    self.on_failed(item);
                    self.reports.add(fault, &path, Side::There);
                }
                Some(FromReceiver::Refused { fault, path }) => {
                    self.is_refused = true;
                    self.reports.add(fault, &path, Side::There);
                }
                Some(FromReceiver::Result(counts)) => {
                    if !self.is_sent {
                        return Err(Violation("a result before the end"));
                    }
                    self.result = Some(counts);
                }
                Some(FromReceiver::Count) => self.is_counted = true,
                None => {}
            }
        }
        self.parser = parser;
        Ok(())
    }

    /// Returns true if the receiver has said how it went.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.result.is_some() || self.is_refused
    }

    /// Returns true if everything was sent and written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let is_written = self.result.is_some_and(|counts| counts.failed == 0);
        is_written && self.troubles == 0 && !self.is_refused
    }

    /// Returns true if an item was not sent because it lies outside of the scope.
    #[must_use]
    pub const fn is_out_of_scope(&self) -> bool {
        self.is_out_of_scope
    }

    /// Takes the next report of an item that was not copied.
    pub fn next_report(&mut self) -> Option<Report> {
        self.reports.next()
    }

    /// Returns the number of items that were not copied, by what is known.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let failed = self.result.map_or(0, |counts| counts.failed);
        self.troubles.saturating_add(failed.max(self.failed))
    }

    /// Returns true if the receiver wants to know the number of bytes of all files.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Announces the number of bytes of all files, unless everything was sent.
    pub fn announce(&mut self, bytes: u64) {
        if !self.is_sent {
            FromSender::Total(bytes).put(&mut self.buffer);
        }
    }

    /// Returns the bytes of all files that were sent, with what was left out.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// Returns the counts of what was written, once they are known.
    #[must_use]
    pub const fn result(&self) -> Option<Counts> {
        self.result
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.ready.push_back(self.buffer.split().freeze());
        }
    }

    /// Gives up what the receiver cannot write.
    fn on_failed(&mut self, item: u64) {
        if self.file.as_ref().is_some_and(|file| file.item == item) {
            self.file = None;
            FromSender::Abort.put(&mut self.buffer);
        }
        let failed = self.levels.iter().position(|level| level.item == item);
        if let Some(failed) = failed {
            for level in &mut self.levels[failed..] {
                level.next = level.entries.len();
            }
        }
    }

    /// Begins the next item, or ends a directory. Returns false if nothing is left to send.
    fn begin_next(&mut self) -> bool {
        if self.is_sent {
            return false;
        }
        let begun = if let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.entries.get(level.next).cloned() else {
                self.end_directory();
                return true;
            };
            level.next += 1;
            self.begin_entry(entry)
        } else if let Some(path) = self.sources.next() {
            self.begin_source(&path)
        } else {
            let troubles = self.troubles;
            FromSender::Done { troubles }.put(&mut self.buffer);
            self.is_sent = true;
            return true;
        };
        if let Err(fault) = begun {
            self.trouble(fault);
        }
        true
    }

    fn trouble(&mut self, fault: Fault) {
        self.troubles += 1;
        self.is_out_of_scope |= fault == Fault::Policy;
        self.reports.add(fault, &self.path, Side::Here);
        if self.told.take(&self.path) {
            let path = self.path.clone();
            FromSender::Trouble { fault, path }.put(&mut self.buffer);
        }
    }

    /// Ends the innermost directory.
    fn end_directory(&mut self) {
        self.levels.pop();
        FromSender::Up.put(&mut self.buffer);
        let left = self.nest.as_mut().map(Nest::leave);
        if let Some(Err(fault)) = left {
            // Those around it cannot be entered any more, except the outermost.
            let path = self.levels.last().map_or(0, |level| level.path);
            self.path.truncate(path);
            self.trouble(fault);
            while self.levels.len() > 1 {
                self.levels.pop();
                FromSender::Up.put(&mut self.buffer);
            }
        }
    }

    /// Sends the next part of a large file. Returns false if none was sent yet.
    fn continue_file(&mut self, mut file: Outgoing) -> bool {
        if let Some((item, length, hash)) = self.have.take()
            && item == file.item
        {
            file.claim(length, hash);
        }
        match file.step(&mut self.buffer, &mut self.ready) {
            Ok(Step::Complete) => return true,
            Ok(Step::Sent(length)) => self.progress += length,
            Ok(Step::Hashed) => {
                self.file = Some(file);
                return false;
            }
            Err(fault) => {
                FromSender::Abort.put(&mut self.buffer);
                self.trouble(fault);
                return true;
            }
        }
        self.file = Some(file);
        true
    }
}
