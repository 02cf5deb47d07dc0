//! One file that is being received.
//!
//! Invariant: the destination has either what it had before, or the whole content with the hash that the sender has
//! counted.

use std::os::unix::fs::FileExt as _;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::directory::{Directory, Kind, set_attributes, set_mode};
use super::fault::Fault;
use super::frame::{Attributes, Hash, Violation};
use super::hashing::{Hasher, ZEROS};
use super::name::Name;
use super::partial::{self, Partial};

/// Choices for what is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Writing {
    /// True if permissions and times of change are those of the source.
    pub preserve: bool,
    /// Permissions that new items do not get.
    pub umask: u32,
}

impl Writing {
    /// Returns the permissions of a new item.
    #[must_use]
    pub const fn mode(self, attributes: Attributes) -> u32 {
        attributes.mode & 0o777 & !self.umask
    }
}

/// File that is being received.
#[derive(Debug)]
pub struct Incoming {
    name: Name,
    attributes: Attributes,
    size: u64,
    writing: Writing,
    /// Permissions when it is complete.
    mode: u32,
    partial: Partial,
    hasher: Hasher,
    /// Hash of the content that an interrupted copy has left, once it is known.
    held: Option<Hasher>,
    work: Work,
}

/// Work in progress that takes long.
#[derive(Debug)]
enum Work {
    Nothing,
    /// Hash of what an interrupted copy has left.
    Held(Box<Hasher>),
    /// Zeros that are left out, by their number.
    Hole(u64),
    /// Zeros that are written over what an interrupted copy has left, by their number.
    Zeros(u64),
}

/// Result of a part of the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worked {
    /// There was nothing to do.
    Nothing,
    /// Zeros were left out, by their number.
    Zeros(u64),
    /// A part of what an interrupted copy has left was hashed.
    Held,
}

impl Incoming {
    /// Begins a file.
    ///
    /// # Errors
    /// Of the system, or [`Fault::Directory`] if there is a directory of its name.
    pub fn begin(
        directory: &Directory,
        name: Name,
        attributes: Attributes,
        size: u64,
        writing: Writing,
    ) -> Result<Self, Fault> {
        let mut mode = writing.mode(attributes);
        match directory.stat(&name)? {
            Some(stat) if Kind::of(&stat) == Kind::Directory => {
                return Err(Errno::ISDIR.into());
            }
            // As with cp, what is replaced keeps its permissions.
            Some(stat) if Kind::of(&stat) == Kind::File => mode = stat.st_mode & 0o777,
            Some(_) | None => {}
        }
        let partial = partial::open(directory, &name, size, attributes, mode)?;
        let work = match partial.held {
            0 => Work::Nothing,
            _ => Work::Held(Box::default()),
        };
        Ok(Self {
            name,
            attributes,
            size,
            writing,
            mode,
            partial,
            hasher: Hasher::default(),
            held: None,
            work,
        })
    }

    /// Returns true if work is in progress: nothing else may be done with the file before it has ended.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.work, Work::Nothing)
    }

    /// Does a part of the work in progress, of at most so many bytes, and takes them from the budget.
    ///
    /// # Errors
    /// Of the system.
    pub fn work(&mut self, budget: &mut u64) -> Result<Worked, Fault> {
        match &mut self.work {
            Work::Nothing => Ok(Worked::Nothing),
            Work::Hole(left) => {
                let part = (*left).min(*budget);
                (*left, *budget) = (*left - part, *budget - part);
                if *left == 0 {
                    self.work = Work::Nothing;
                }
                self.hasher.add_zeros(part);
                Ok(Worked::Zeros(part))
            }
            Work::Zeros(left) => {
                let longest = ZEROS.len() as u64;
                let part = (*left).min(*budget).min(longest);
                (*left, *budget) = (*left - part, *budget - part);
                if *left == 0 {
                    self.work = Work::Nothing;
                }
                let offset = self.hasher.length();
                let there = self.partial.held.saturating_sub(offset).min(part);
                let zeros = usize::try_from(there).unwrap_or(ZEROS.len());
                let written = self.partial.file.write_all_at(&ZEROS[..zeros], offset);
                written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                self.hasher.add_zeros(part);
                Ok(Worked::Zeros(part))
            }
            Work::Held(hasher) => {
                let before = hasher.length();
                let end = self.partial.held.min(before.saturating_add(*budget));
                self.partial.take_over(before, end);
                hasher.add_file(&self.partial.file, end.min(self.partial.held))?;
                *budget -= hasher.length() - before;
                if hasher.length() == self.partial.held {
                    self.held = (hasher.length() > 0).then(|| std::mem::take(&mut **hasher));
                    self.work = Work::Nothing;
                }
                Ok(Worked::Held)
            }
        }
    }

    /// Returns length and hash of the content that an interrupted copy has left, once they are known.
    #[must_use]
    pub fn held(&self) -> Option<(u64, Hash)> {
        let held = self.held.as_ref()?;
        Some((held.length(), held.finish()))
    }

    /// Returns the number of bytes that have arrived.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.hasher.length()
    }

    /// Returns the number of bytes that are still to come.
    const fn left(&self) -> u64 {
        self.size - self.hasher.length()
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// Of the system.
    pub fn data(&mut self, bytes: &[u8]) -> Result<Result<(), Fault>, Violation> {
        if bytes.len() as u64 > self.left() {
            return Err(Violation("more content than the file is long"));
        }
        let offset = self.hasher.length();
        self.hasher.add(bytes);
        let written = self.partial.file.write_all_at(bytes, offset);
        Ok(written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO).into()))
    }

    /// Begins to leave out zeros.
    ///
    /// # Errors
    /// Of the system, or a violation.
    pub fn hole(&mut self, length: u64) -> Result<Result<(), Fault>, Violation> {
        if length > self.left() {
            return Err(Violation("more content than the file is long"));
        }
        let offset = self.hasher.length();
        let punch = |offset| {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&self.partial.file, flags, offset, length)
        };
        self.work = match length {
            0 => Work::Nothing,
            _ if self.partial.held <= offset => Work::Hole(length),
            _ => match punch(offset) {
                Ok(()) => Work::Hole(length),
                // The file system has no holes. What is behind is left as it is, as the sender may have left it out already.
                Err(Errno::OPNOTSUPP) => Work::Zeros(length),
                Err(error) => return Ok(Err(error.into())),
            },
        };
        Ok(Ok(()))
    }

    /// Takes what an interrupted copy has left for the content below an offset.
    ///
    /// # Errors
    /// A violation, if it has left something else.
    pub fn skip(&mut self, offset: u64) -> Result<(), Violation> {
        let violation = Violation("content is left out that is not there");
        let held = self.held.take().ok_or(violation)?;
        if held.length() != offset || self.hasher.length() > offset {
            return Err(violation);
        }
        self.hasher = held;
        Ok(())
    }

    /// Gives the complete file its name. Returns its length.
    ///
    /// # Errors
    /// A violation if content is missing; [`Fault::Mismatch`], or of the system. Nothing is left of the file then.
    pub fn end(self, directory: &Directory, hash: &Hash) -> Result<Result<u64, Fault>, Violation> {
        if self.left() > 0 {
            return Err(Violation("less content than the file is long"));
        }
        if self.hasher.finish() != *hash {
            self.discard(directory);
            return Ok(Err(Fault::Mismatch));
        }
        if let Err(errno) = self.complete(directory) {
            self.discard(directory);
            return Ok(Err(errno.into()));
        }
        Ok(Ok(self.size))
    }

    fn complete(&self, directory: &Directory) -> Result<(), Errno> {
        let file = &self.partial.file;
        // A hole at the end, or what an interrupted copy has left behind the end.
        let stat = rustix::fs::fstat(file)?;
        if u64::try_from(stat.st_size) != Ok(self.size) {
            rustix::fs::ftruncate(file, self.size)?;
        }
        if self.writing.preserve {
            set_attributes(file, self.attributes)?;
        } else if stat.st_mode & 0o7777 != self.mode {
            set_mode(file, self.mode)?;
        }
        directory.rename(&self.partial.name, &self.name)?;
        self.partial.remove_taken_over(directory);
        Ok(())
    }

    /// Removes what was received.
    pub fn discard(&self, directory: &Directory) {
        // It may be gone already; there is nothing else to do.
        let _ = directory.remove(&self.partial.name);
    }

    /// Leaves what was received for a later copy, if one can find it.
    pub fn leave(&self, directory: &Directory) {
        if !self.partial.is_found_again {
            self.discard(directory);
        }
    }

    /// Returns the name that it gets.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::OFlags;

    use super::*;
    use crate::copy::Scope;

    const SIZE: usize = 2 << 20;
    const ZERO: usize = 100_000;

    /// Leaves the first half of a content, then receives one that begins with zeros where a file system refuses to make a
    /// hole. Returns the file.
    fn after_zeros(left: &[u8], content: &[u8], skips: bool) -> Vec<u8> {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Scope::Everywhere.directory(temporary.path(), OFlags::PATH);
        let directory = directory.unwrap();
        let begin = || {
            let attributes = Attributes {
                mode: 0o644,
                seconds: 1,
                nanos: 0,
            };
            let writing = Writing {
                preserve: false,
                umask: 0o022,
            };
            let name = Name::new(b"f").unwrap();
            Incoming::begin(&directory, name, attributes, SIZE as u64, writing).unwrap()
        };
        let work = |file: &mut Incoming| {
            while file.is_busy() {
                file.work(&mut 70_000).unwrap();
            }
        };
        let mut first = begin();
        first.data(&left[..SIZE / 2]).unwrap().unwrap();
        first.leave(&directory);
        drop(first);
        let mut second = begin();
        work(&mut second);
        let (held, _) = second.held().unwrap();
        assert_eq!(held, SIZE as u64 / 2);
        second.work = Work::Zeros(ZERO as u64);
        work(&mut second);
        assert_eq!(second.received(), ZERO as u64);
        let mut rest = ZERO;
        if skips {
            second.skip(held).unwrap();
            rest = SIZE / 2;
        }
        second.data(&content[rest..]).unwrap().unwrap();
        let whole = Hasher::hash(content);
        assert_eq!(second.end(&directory, &whole).unwrap(), Ok(SIZE as u64));
        std::fs::read(temporary.path().join("f")).unwrap()
    }

    #[test]
    fn zeros_that_cannot_be_a_hole_replace_what_was_left_and_nothing_behind_it() {
        let left = vec![b'x'; SIZE];
        let mut content = left.clone();
        content[..ZERO].fill(0);
        assert!(after_zeros(&left, &content, false) == content);
        // What is left out was said to be there before the zeros came.
        assert!(after_zeros(&content, &content, true) == content);
    }
}
