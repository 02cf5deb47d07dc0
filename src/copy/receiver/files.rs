//! Files of a receiver: their beginnings, contents and ends.
//!
//! Invariant: a file that fails is discarded and reported once, and the rest of its content is passed over.

use super::{Current, Receiver};
use crate::copy::fault::Fault;
use crate::copy::frame::{Attributes, FromReceiver, Violation};
use crate::copy::incoming::{Incoming, Worked};
use crate::copy::limits;
use crate::copy::name::Name;
use crate::copy::report::join;

impl Receiver {
    pub(super) fn begin_file(&mut self, name: Name, attributes: Attributes, size: u64) {
        self.current = Current::Discarded;
        if self.ignored > 0 {
            return;
        }
        let path = self.path.len();
        let begun = self.final_name(name, false).and_then(|name| {
            Incoming::begin(self.directory(), name, attributes, size, self.writing)
        });
        match begun {
            Ok(file) => self.current = Current::File(Box::new(file)),
            Err(fault) => self.fail(fault),
        }
        self.path.truncate(path);
    }

    /// Goes on with the work in progress, within a budget. Returns true if none is left.
    pub(super) fn work(&mut self, budget: &mut u64) -> bool {
        let Current::File(file) = &mut self.current else {
            return true;
        };
        match file.work(budget) {
            Ok(Worked::Nothing) => return true,
            Ok(Worked::Zeros(length)) => self.progress = self.progress.saturating_add(length),
            Ok(Worked::Held) if file.is_busy() => {}
            Ok(Worked::Held) => {
                // Without it, the content is sent.
                if let Some((length, hash)) = file.held()
                    && self.replies.len() < limits::REPLIES
                {
                    let item = self.item;
                    FromReceiver::Have { item, length, hash }.put(&mut self.replies);
                }
            }
            Err(fault) => {
                self.give_up(fault);
                return true;
            }
        }
        !file.is_busy()
    }

    /// Begins a hole. Its zeros are counted as work in progress.
    pub(super) fn hole(&mut self, length: u64) -> Result<(), Violation> {
        let passed_over = match &self.current {
            Current::File(_) => 0,
            Current::Nothing | Current::Discarded => length,
        };
        self.content(passed_over, |file| file.hole(length))
    }

    pub(super) fn content(
        &mut self,
        length: u64,
        take: impl FnOnce(&mut Incoming) -> Result<Result<(), Fault>, Violation>,
    ) -> Result<(), Violation> {
        match &mut self.current {
            Current::Nothing => return Err(Violation("content without a file")),
            Current::Discarded => {}
            Current::File(file) => {
                if let Err(fault) = take(file)? {
                    self.give_up(fault);
                }
            }
        }
        self.progress = self.progress.saturating_add(length);
        Ok(())
    }

    pub(super) fn skip(&mut self, offset: u64) -> Result<(), Violation> {
        match &mut self.current {
            Current::Nothing => Err(Violation("content without a file")),
            Current::Discarded => Ok(()),
            Current::File(file) => {
                let before = file.received();
                file.skip(offset)?;
                self.progress = self.progress.saturating_add(offset - before);
                Ok(())
            }
        }
    }

    /// Discards the current file, which cannot be written.
    fn give_up(&mut self, fault: Fault) {
        if let Current::File(file) = std::mem::replace(&mut self.current, Current::Discarded) {
            file.discard(self.directory());
            self.fail_file(file.name(), fault);
        }
    }

    pub(super) fn end_file(&mut self, hash: Option<[u8; 32]>) -> Result<(), Violation> {
        match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::Nothing => return Err(Violation("the end of no file")),
            Current::Discarded => {}
            Current::File(file) => {
                let Some(hash) = hash else {
                    file.discard(self.directory());
                    return Ok(());
                };
                let name = file.name().clone();
                match file.end(self.directory(), &hash)? {
                    Ok(length) => {
                        self.counts.files += 1;
                        self.counts.bytes = self.counts.bytes.saturating_add(length);
                    }
                    Err(fault) => self.fail_file(&name, fault),
                }
            }
        }
        Ok(())
    }

    fn fail_file(&mut self, name: &Name, fault: Fault) {
        let path = self.path.len();
        join(&mut self.path, name.as_bytes());
        self.fail(fault);
        self.path.truncate(path);
    }
}
