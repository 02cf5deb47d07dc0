//! Content of large files, read once for all senders that need it at about the same time.
//!
//! Not the small files, which each sender reads itself, nor what is held of it, which is the library's. Invariant: a file
//! is hashed in the order of its bytes, and once, whatever the order in which they are asked for.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;

use bytes::Bytes;
use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;

use super::fault::Fault;
use super::frame::{DATA, HEADER, Hash, header};
use super::hashing::{Hasher, read_at};
use super::limits;
use super::pool::Pool;

/// Content of a file.
#[derive(Debug)]
pub struct Content {
    file: File,
    size: u64,
    /// True if the file takes less space than it is long.
    is_sparse: bool,
    /// Number of the file in the pool.
    id: u64,
    pool: Rc<RefCell<Pool>>,
    hasher: RefCell<Hasher>,
}

/// Next part of a content.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Frame with bytes, so many.
    Data(Bytes, u64),
    /// Zeros that take no space, by their number.
    Hole(u64),
}

impl Content {
    /// Creates the content of an open file, whose pieces are held in a pool under a number.
    #[must_use]
    pub fn new(file: File, stat: &Stat, id: u64, pool: Rc<RefCell<Pool>>) -> Self {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(u64::MAX);
        Self {
            file,
            size,
            is_sparse: blocks.saturating_mul(512) < size,
            id,
            pool,
            hasher: RefCell::default(),
        }
    }

    /// Returns the length.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the part that begins at an offset below the length.
    ///
    /// # Errors
    /// [`Fault::Changed`] if the file has become shorter, or of the system.
    pub fn piece(&self, offset: u64) -> Result<Piece, Fault> {
        let mut pool = self.pool.borrow_mut();
        let mut hasher = self.hasher.borrow_mut();
        if let Some(frame) = pool.find(self.id, offset) {
            let length = (frame.len() - HEADER) as u64;
            return Ok(Piece::Data(frame, length));
        }
        let end = if self.is_sparse {
            let data = self.seek(SeekFrom::Data(offset))?;
            if data > offset {
                let length = (data - offset).min(limits::WORK);
                if hasher.length() == offset {
                    hasher.add_zeros(length);
                }
                return Ok(Piece::Hole(length));
            }
            self.seek(SeekFrom::Hole(offset))?
        } else {
            self.size
        };
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        // The frame as a whole is a number of pages: what follows it in a pipe and a ring begins with one, too.
        let length = left.min(limits::CHUNK - HEADER);
        if length == 0 {
            return Err(Fault::Changed);
        }
        let mut frame = pool.buffer();
        frame.resize(HEADER + length, 0);
        frame[..HEADER].copy_from_slice(&header(DATA, length));
        read_at(&self.file, &mut frame[HEADER..], offset)?;
        if hasher.length() == offset {
            hasher.add(&frame[HEADER..]);
        }
        let frame = frame.freeze();
        pool.hold(self.id, offset, frame.clone());
        Ok(Piece::Data(frame, length as u64))
    }

    /// Returns the offset of the next data or hole, at most the length.
    fn seek(&self, from: SeekFrom) -> Result<u64, Fault> {
        match seek(&self.file, from) {
            Ok(offset) => Ok(offset.min(self.size)),
            // Nothing but a hole follows, or the file has become shorter.
            Err(Errno::NXIO) => {
                let size = rustix::fs::fstat(&self.file)?.st_size;
                let is_whole = u64::try_from(size).is_ok_and(|size| size >= self.size);
                is_whole.then_some(self.size).ok_or(Fault::Changed)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the hash of the bytes below an offset; `None` if there is more to do than one call does. What is counted for
    /// one sender alone is in `own` then.
    ///
    /// # Errors
    /// As [`Content::piece`].
    pub fn hash_below(&self, offset: u64, own: &mut Option<Hasher>) -> Result<Option<Hash>, Fault> {
        let mut shared = self.hasher.borrow_mut();
        let hasher = if shared.length() <= offset {
            &mut *shared
        } else {
            own.get_or_insert_default()
        };
        let end = offset.min(hasher.length().saturating_add(limits::WORK));
        hasher.add_file(&self.file, end)?;
        if end < offset {
            return Ok(None);
        }
        let hash = hasher.finish();
        *own = None;
        Ok(Some(hash))
    }
}
