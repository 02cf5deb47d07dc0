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
use super::hashing::Hasher;
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
        if self.partial.held > offset
            && let Err(fault) = self.clear(offset, length)
        {
            return Ok(Err(fault));
        }
        self.work = match length {
            0 => Work::Nothing,
            _ => Work::Hole(length),
        };
        Ok(Ok(()))
    }

    /// Replaces by zeros what an interrupted copy has left in a range.
    fn clear(&self, offset: u64, length: u64) -> Result<(), Fault> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.partial.file, flags, offset, length) {
            Ok(()) => Ok(()),
            // The file system has no holes: what follows is written again.
            Err(Errno::OPNOTSUPP) => Ok(rustix::fs::ftruncate(&self.partial.file, offset)?),
            Err(error) => Err(error.into()),
        }
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
