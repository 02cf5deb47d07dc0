//! Content of large files, read once for all senders that need it at about the same time.
//!
//! Not the small files, which each sender reads itself. Invariants: a file is hashed in the order of its bytes, and once,
//! whatever the order in which they are asked for; what is held of all files is bounded.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::rc::{Rc, Weak};

use bytes::{Bytes, BytesMut};
use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;

use super::fault::Fault;
use super::frame::{DATA, HEADER, Hash, header};
use super::hashing::{Hasher, read_at};
use super::limits;

/// Identity of a version of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

impl Version {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types of these members depend on the architecture"
    )]
    const fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
}

/// Files that senders read.
#[derive(Debug)]
pub struct Library {
    files: RefCell<Vec<(Version, Weak<Content>)>>,
    /// Pieces that each file holds.
    pieces: usize,
}

/// Content of a file.
#[derive(Debug)]
pub struct Content {
    file: File,
    size: u64,
    /// True if the file takes less space than it is long.
    is_sparse: bool,
    pieces: usize,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    hasher: Hasher,
    /// Pieces that were read, in that order, with their offsets.
    pieces: VecDeque<(u64, Bytes)>,
}

/// Next part of a content.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Frame with bytes, so many.
    Data(Bytes, u64),
    /// Zeros that take no space, by their number.
    Hole(u64),
}

impl Library {
    /// Creates an empty one, whose files hold so many pieces each.
    #[must_use]
    pub const fn new(pieces: usize) -> Self {
        Self {
            files: RefCell::new(Vec::new()),
            pieces,
        }
    }

    /// Returns the content of an open file.
    pub fn content(&self, file: File, stat: &Stat) -> Rc<Content> {
        let version = Version::of(stat);
        let mut files = self.files.borrow_mut();
        files.retain(|(_, content)| content.strong_count() > 0);
        let known = files.iter().find(|(other, _)| *other == version);
        if let Some(content) = known.and_then(|(_, content)| content.upgrade()) {
            return content;
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(u64::MAX);
        let content = Rc::new(Content {
            file,
            size,
            is_sparse: blocks.saturating_mul(512) < size,
            pieces: self.pieces,
            state: RefCell::default(),
        });
        files.push((version, Rc::downgrade(&content)));
        content
    }
}

impl Content {
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
        let mut state = self.state.borrow_mut();
        let known = state.pieces.iter().find(|(at, _)| *at == offset);
        if let Some((_, frame)) = known {
            return Ok(Piece::Data(frame.clone(), (frame.len() - HEADER) as u64));
        }
        let end = if self.is_sparse {
            let data = self.seek(SeekFrom::Data(offset))?;
            if data > offset {
                let length = (data - offset).min(limits::WORK);
                if state.hasher.length() == offset {
                    state.hasher.add_zeros(length);
                }
                return Ok(Piece::Hole(length));
            }
            self.seek(SeekFrom::Hole(offset))?
        } else {
            self.size
        };
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = left.min(limits::CHUNK);
        if length == 0 {
            return Err(Fault::Changed);
        }
        let mut frame = self.buffer(&mut state);
        frame.resize(HEADER + length, 0);
        frame[..HEADER].copy_from_slice(&header(DATA, length));
        read_at(&self.file, &mut frame[HEADER..], offset)?;
        if state.hasher.length() == offset {
            state.hasher.add(&frame[HEADER..]);
        }
        let frame = frame.freeze();
        state.pieces.push_back((offset, frame.clone()));
        Ok(Piece::Data(frame, length as u64))
    }

    /// Returns a buffer: that of the oldest piece if nobody uses it any more, as new memory costs as much as a copy into it.
    fn buffer(&self, state: &mut State) -> BytesMut {
        let mut buffer = None;
        while state.pieces.len() >= self.pieces.max(1) {
            let oldest = state.pieces.pop_front();
            buffer = oldest.and_then(|(_, frame)| frame.try_into_mut().ok());
        }
        buffer.unwrap_or_else(|| BytesMut::with_capacity(HEADER + limits::CHUNK))
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
        let mut state = self.state.borrow_mut();
        let hasher = if state.hasher.length() <= offset {
            &mut state.hasher
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
