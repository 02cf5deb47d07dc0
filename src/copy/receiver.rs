//! Receiving side of a copy: bytes of the sender in, replies out, and the files written meanwhile.
//!
//! Not the streams: the caller passes bytes in and takes replies out. It performs the file operations in place, so a call
//! may block on a file system, and only there. Invariants: nothing outside the destination is written, whatever the sender
//! says; an item that cannot be written is passed over and reported, and the rest is written.

mod files;
mod items;

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::directory::{self, Directory};
use super::fault::Fault;
use super::frame::{Attributes, Counts, FromReceiver, FromSender, Violation};
use super::incoming::{Incoming, Writing};
use super::limits;
use super::name::Name;
use super::nest::Nest;
use super::parser::{Parser, Part};
use super::report::{Quota, Report, Reports, Side, join};
use super::requested::Requested;
use super::scope::Scope;

/// Destination of a copy as its user names it.
#[derive(Clone, Debug)]
pub struct Destination<'a> {
    /// Part of the file system in which it has to lie.
    pub scope: &'a Scope,
    /// Directory to copy into, or the new name of the only item.
    pub path: &'a Path,
    /// True if it has to be a directory that is there.
    pub is_directory: bool,
}

/// Reason why a destination cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError {
    /// The destination, or the directory above it that is not there.
    pub path: PathBuf,
    /// Reason why it cannot be opened.
    pub fault: Fault,
}

/// Directory that is being received.
#[derive(Debug)]
struct Level {
    attributes: Attributes,
    /// True if it was made by this copy.
    is_new: bool,
    /// Length of the path up to it.
    path: usize,
    /// True if it is an item of its own, and not the destination.
    is_item: bool,
}

/// File that the next content belongs to.
#[derive(Debug)]
enum Current {
    /// No file.
    Nothing,
    File(Box<Incoming>),
    /// A file that was given up.
    Discarded,
}

/// Receiving side of a copy.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct Receiver {
    writing: Writing,
    /// Directories that are being received, in that which items at the top are written to.
    nest: Nest,
    /// New name of the only item at the top.
    rename: Option<Name>,
    /// Fault of a file in its place, if it has to be a directory.
    fault_of_file: Option<Fault>,
    /// True once an item has taken it.
    is_renamed: bool,
    levels: Vec<Level>,
    /// Directories inside each other whose items are passed over.
    ignored: usize,
    current: Current,
    parser: Parser,
    has_begun: bool,
    /// Number of the item that was named last.
    item: u64,
    counts: Counts,
    /// Items that were not sent.
    troubles: u64,
    /// Bytes of all files that have arrived, with what was left out.
    progress: u64,
    /// Bytes of all files that the sender has announced.
    total: Option<u64>,
    replies: BytesMut,
    reports: Reports,
    /// Failed items that may still be named to the sender.
    replied: Quota,
    /// Items at the top that may come; any without it.
    requested: Option<Requested>,
    /// Path of the item, for a person.
    path: Vec<u8>,
    is_done: bool,
    /// True if the sender does not follow the protocol.
    is_broken: bool,
}

impl Receiver {
    /// Opens the destination.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(destination: &Destination<'_>, preserve: bool) -> Result<Self, OpenError> {
        let Destination {
            scope,
            path,
            is_directory,
        } = *destination;
        let shown = path.as_os_str().as_encoded_bytes();
        let (absent, file) = (Errno::NOENT.into(), Errno::NOTDIR.into());
        let error = |path: &Path, fault| OpenError {
            path: path.to_owned(),
            fault: if fault == absent {
                Fault::NoDirectory
            } else {
                fault
            },
        };
        let mut fault_of_file = None;
        let (top, rename, path) = match scope.directory(path, OFlags::PATH) {
            Ok(top) => (top, None, shown.to_vec()),
            Err(fault) if (fault == absent || fault == file) && !is_directory => {
                let above = path.parent().unwrap_or(Path::new(""));
                let (top, name) = scope.parent(path).map_err(|fault| {
                    let is_above = fault == absent && !above.as_os_str().is_empty();
                    error(if is_above { above } else { path }, fault)
                })?;
                if shown.ends_with(b"/") {
                    fault_of_file = Some(if fault == absent {
                        Fault::NoDirectory
                    } else {
                        Fault::NotDirectory
                    });
                }
                let above = above.as_os_str().as_encoded_bytes().to_vec();
                (top, Some(name), above)
            }
            Err(fault) => return Err(error(path, fault)),
        };
        Ok(Self {
            writing: Writing {
                preserve,
                umask: directory::umask(),
            },
            nest: Nest::new(top),
            rename,
            fault_of_file,
            is_renamed: false,
            levels: Vec::new(),
            ignored: 0,
            current: Current::Nothing,
            parser: Parser::default(),
            has_begun: false,
            item: 0,
            counts: Counts::default(),
            troubles: 0,
            progress: 0,
            total: None,
            replies: BytesMut::new(),
            reports: Reports::default(),
            replied: Quota::default(),
            requested: None,
            path,
            is_done: false,
            is_broken: false,
        })
    }

    /// Accepts only these items at the top. Without them, a sender chooses their names, as the one who began the copy may.
    #[must_use]
    pub fn with_requested(mut self, requested: Requested) -> Self {
        self.requested = Some(requested);
        self
    }

    /// Asks the sender for the number of bytes of all files, as a person watches.
    #[must_use]
    pub fn with_total(mut self) -> Self {
        FromReceiver::Count.put(&mut self.replies);
        self
    }

    /// Returns the number of bytes of all files, once the sender has announced it. It may be wrong: it is for a person.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the reply that a destination cannot be opened.
    #[must_use]
    pub fn refusal(error: &OpenError) -> Bytes {
        let mut replies = BytesMut::new();
        let path = error.path.as_os_str().as_encoded_bytes().to_vec();
        let fault = error.fault;
        FromReceiver::Refused { fault, path }.put(&mut replies);
        replies.freeze()
    }

    /// Takes bytes of the sender and writes what they say, for a bounded time: [`limits::WORK`]. Returns true if all was
    /// worked off; otherwise it is to be called again with what is left of the input, which may be nothing.
    ///
    /// # Errors
    /// [`Violation`] if the sender does not follow the protocol; nothing more may be passed in then.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<bool, Violation> {
        let taken = self.take(input);
        self.is_broken |= taken.is_err();
        taken
    }

    fn take(&mut self, input: &mut &[u8]) -> Result<bool, Violation> {
        let mut budget = limits::WORK;
        loop {
            if !self.work(&mut budget) || budget == 0 && !input.is_empty() {
                return Ok(false);
            }
            let Some(part) = self.parser.next(input)? else {
                return Ok(true);
            };
            if self.is_done {
                return Err(Violation("a frame behind the last"));
            }
            match part {
                Part::Data(bytes) => {
                    let length = bytes.len() as u64;
                    budget = budget.saturating_sub(length);
                    self.content(length, |file| file.data(bytes))?;
                }
                Part::Frame(kind, payload) => {
                    budget = budget.saturating_sub(limits::FRAME_WORK);
                    if let Some(frame) = FromSender::decode(kind, &payload)? {
                        self.on_frame(frame)?;
                    }
                }
            }
        }
    }

    /// Takes the replies for the sender; empty if there are none.
    pub fn take_replies(&mut self) -> Bytes {
        self.replies.split().freeze()
    }

    /// Returns true if replies wait to be taken.
    #[must_use]
    pub fn has_replies(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Takes the next report of an item that was not copied.
    pub fn next_report(&mut self) -> Option<Report> {
        self.reports.next()
    }

    /// Returns true if the sender has sent everything.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns true if everything was sent and written.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        let has_failed = self.counts.failed > 0 || self.troubles > 0 || self.is_broken;
        self.is_done && !has_failed
    }

    /// Returns the counts of what was written.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the number of items that were not copied, by what is known.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.counts.failed.saturating_add(self.troubles)
    }

    /// Returns the bytes of all files that have arrived, with what was left out.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// Leaves what was received of the current file for a later copy, as the sender is gone.
    pub fn leave(&mut self) {
        if let Current::File(file) = std::mem::replace(&mut self.current, Current::Nothing) {
            file.leave(self.directory());
        }
    }

    fn directory(&self) -> &Directory {
        self.nest.current()
    }

    fn on_frame(&mut self, frame: FromSender) -> Result<(), Violation> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return match frame {
                FromSender::Begin => Ok(()),
                _ => Err(Violation("no version of the copy protocol")),
            };
        }
        let is_between = matches!(self.current, Current::Nothing);
        match frame {
            FromSender::Hole(length) => self.hole(length),
            FromSender::Skip(offset) => self.skip(offset),
            FromSender::End(hash) => self.end_file(Some(hash)),
            FromSender::Abort => self.end_file(None),
            FromSender::Trouble { fault, path } => {
                self.troubles += 1;
                self.reports.add(fault, &path, Side::There);
                Ok(())
            }
            FromSender::Total(bytes) => {
                self.total.get_or_insert(bytes);
                Ok(())
            }
            _ if !is_between => Err(Violation("an item inside a file")),
            FromSender::Directory { name, attributes } => {
                if let Some(requested) = self.requested_at_top() {
                    requested.take_directory(name.as_ref())?;
                }
                self.item += 1;
                self.begin_directory(name, attributes)
            }
            FromSender::Up => self.end_directory(),
            FromSender::Link {
                name,
                attributes,
                target,
            } => {
                // A later copy to the same destination would follow it.
                if self.is_at_top() {
                    return Err(Violation("a symbolic link at the top"));
                }
                self.item += 1;
                self.write_link(name, attributes, &target);
                Ok(())
            }
            FromSender::File {
                name,
                attributes,
                size,
            } => {
                if let Some(requested) = self.requested_at_top() {
                    requested.take_name(&name)?;
                }
                self.item += 1;
                self.begin_file(name, attributes, size);
                Ok(())
            }
            FromSender::Done { troubles } => self.done(troubles),
            FromSender::Begin => Err(Violation("a second beginning")),
        }
    }

    /// Returns true if the next item is outside of all directories.
    const fn is_at_top(&self) -> bool {
        self.levels.is_empty() && self.ignored == 0
    }

    /// Returns the items that may come, if the next one is among them.
    fn requested_at_top(&mut self) -> Option<&mut Requested> {
        let is_at_top = self.is_at_top();
        self.requested.as_mut().filter(|_| is_at_top)
    }

    /// Returns the name under which an item is written, and appends it to the path.
    fn final_name(&mut self, name: Name, is_directory: bool) -> Result<Name, Fault> {
        let rename = self.rename.as_ref().filter(|_| self.levels.is_empty());
        let name = rename.cloned().unwrap_or(name);
        join(&mut self.path, name.as_bytes());
        // A second item would replace the first.
        let is_second = self.rename.is_some()
            && self.levels.is_empty()
            && std::mem::replace(&mut self.is_renamed, true);
        let is_file = self.rename.is_some() && self.levels.is_empty() && !is_directory;
        if is_second {
            return Err(Fault::NotDirectory);
        }
        match self.fault_of_file {
            Some(fault) if is_file => Err(fault),
            _ => Ok(name),
        }
    }

    /// Reports that the item at the present path was not written.
    fn fail(&mut self, fault: Fault) {
        self.counts.failed += 1;
        self.reports.add(fault, &self.path, Side::Here);
        if self.replied.take(&self.path) {
            let (item, path) = (self.item, self.path.clone());
            FromReceiver::Failed { item, fault, path }.put(&mut self.replies);
        }
    }

    fn done(&mut self, troubles: u64) -> Result<(), Violation> {
        if !self.levels.is_empty() || self.ignored > 0 {
            return Err(Violation("the end inside a directory"));
        }
        self.troubles = self.troubles.max(troubles);
        self.is_done = true;
        FromReceiver::Result(self.counts).put(&mut self.replies);
        Ok(())
    }
}
