//! Writing of a batch to a descriptor or another writer, with an exact count of the bytes written at any moment.
//!
//! Not a thread and not a queue. Invariant: where the descriptor allows it, no wait happens inside a write. A pipe
//! or socket takes what it has space for, then the ledger records it, and only then does the thread wait. A
//! process that is killed while its reader is slow therefore leaves an exact count.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use crate::control::limits;

/// Bytes to write.
#[derive(Clone, Debug)]
pub struct Chunk<T> {
    /// Identification, returned when the bytes are written.
    pub tag: T,
    /// The bytes.
    pub data: Bytes,
}

/// Record of every write, before and after it.
pub trait Ledger<T>: Send {
    /// Records that all of these bytes, or the first of them, are about to be written.
    fn begin(&mut self, parts: &[Part<'_, T>]);
    /// Records the number of them that were written. Called before any wait.
    fn done(&mut self, parts: &[Part<'_, T>], written: usize);
}

/// Part of a chunk in one write: its bytes from `start` to `end`.
#[derive(Debug)]
pub struct Part<'a, T> {
    /// Tag of the chunk.
    pub tag: &'a T,
    /// Index of the first byte.
    pub start: usize,
    /// Index after the last byte.
    pub end: usize,
    /// Length of the chunk in bytes.
    pub of: usize,
}

/// Destination of a batch.
pub(super) enum Target<'a> {
    Descriptor(&'a File),
    Writer(&'a mut (dyn Write + Send)),
}

impl Target<'_> {
    fn mode(&self) -> WriteMode {
        match self {
            Self::Descriptor(file) => WriteMode::of(file),
            Self::Writer(_) => WriteMode::Plain,
        }
    }

    fn write(&mut self, mode: WriteMode, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Descriptor(file) => mode.write(file, slices),
            Self::Writer(writer) => writer.write_vectored(slices),
        }
    }

    /// Waits for space. A writer has to wait inside its writes.
    fn wait(&self) -> io::Result<()> {
        match self {
            Self::Descriptor(file) => wait(file),
            Self::Writer(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            // A file has no buffer here.
            Self::Descriptor(_) => Ok(()),
            Self::Writer(writer) => writer.flush(),
        }
    }
}

/// Position in a batch: the index of a chunk, and of a byte in it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Position {
    chunk: usize,
    offset: usize,
}

impl Position {
    /// Moves past what was written of these parts.
    fn advance<T>(&mut self, parts: &[Part<'_, T>], mut written: usize) {
        for part in parts {
            let taken = written.min(part.end - part.start);
            written -= taken;
            self.offset = part.start + taken;
            if self.offset < part.of {
                return;
            }
            *self = Self {
                chunk: self.chunk + 1,
                offset: 0,
            };
        }
    }

    /// Returns true at the end of a batch.
    pub(super) const fn is_end<T>(self, chunks: &[Chunk<T>]) -> bool {
        self.chunk >= chunks.len()
    }
}

/// Way to write to a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WriteMode {
    /// Blocking writes, for files and terminals.
    Plain,
    /// Writes that take what there is space for and never block (`RWF_NOWAIT`, for pipes since Linux 6.4).
    NoWait,
    /// Small writes after poll(2) has announced space for them, for an older kernel or a named pipe.
    Careful,
}

impl WriteMode {
    fn of(file: &File) -> Self {
        let waits = file
            .metadata()
            .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_socket());
        if waits { Self::NoWait } else { Self::Plain }
    }

    const fn most(self) -> usize {
        match self {
            Self::Plain => limits::PLAIN_WRITE,
            Self::NoWait => limits::PIPE_WRITE,
            Self::Careful => limits::CAREFUL_WRITE,
        }
    }

    fn write(self, mut file: &File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain | Self::Careful => file.write_vectored(slices),
            // An offset of all ones means the file's own; pipes and sockets have none.
            Self::NoWait => Ok(pwritev2(file, slices, u64::MAX, ReadWriteFlags::NOWAIT)?),
        }
    }
}

/// Writes what the descriptor takes without a wait, as far as the kernel can tell (`RWF_NOWAIT`). Returns the position of
/// the first byte that is left, and false if it can never tell for this descriptor. An error is left to
/// [`write_all`].
pub(super) fn write_ready<T>(
    file: &File,
    chunks: &[Chunk<T>],
    mut ledger: Option<&mut (dyn Ledger<T> + 'static)>,
) -> (Position, bool) {
    let mut at = Position::default();
    while !at.is_end(chunks) {
        let parts = next(chunks, at, limits::PIPE_WRITE);
        let slices = slices(chunks, at, &parts);
        if let Some(ledger) = &mut ledger {
            ledger.begin(&parts);
        }
        let result = WriteMode::NoWait.write(file, &slices);
        if let Some(ledger) = &mut ledger {
            ledger.done(&parts, *result.as_ref().unwrap_or(&0));
        }
        match result {
            Ok(written) => {
                let whole = slices.iter().map(|slice| slice.len()).sum::<usize>();
                at.advance(&parts, written);
                if written < whole {
                    return (at, true);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (at, !is_unsupported(&error)),
        }
    }
    (at, true)
}

/// True for the error of a descriptor or a kernel that does not know `RWF_NOWAIT`.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL)
    )
}

/// Writes all chunks from a position on, also to a descriptor that another process has made non-blocking.
pub(super) fn write_all<T>(
    mut target: Target<'_>,
    chunks: &[Chunk<T>],
    mut at: Position,
    mut ledger: Option<&mut (dyn Ledger<T> + 'static)>,
) -> io::Result<()> {
    let mut mode = target.mode();
    loop {
        let parts = next(chunks, at, mode.most());
        if parts.is_empty() {
            return target.flush();
        }
        if mode == WriteMode::Careful {
            target.wait()?;
        }
        if let Some(ledger) = &mut ledger {
            ledger.begin(&parts);
        }
        let slices = slices(chunks, at, &parts);
        let result = target.write(mode, &slices);
        if let Some(ledger) = &mut ledger {
            ledger.done(&parts, *result.as_ref().unwrap_or(&0));
        }
        match result {
            Ok(0) if parts.iter().any(|part| part.start < part.end) => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            Ok(written) => {
                let full = written < slices.iter().map(|slice| slice.len()).sum();
                at.advance(&parts, written);
                if full && mode == WriteMode::NoWait {
                    target.wait()?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => target.wait()?,
            Err(error) if mode == WriteMode::NoWait && is_unsupported(&error) => {
                mode = WriteMode::Careful;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns the bytes of the parts of a write that begins at a position.
fn slices<'a, T>(chunks: &'a [Chunk<T>], at: Position, parts: &[Part<'_, T>]) -> Vec<IoSlice<'a>> {
    std::iter::zip(&chunks[at.chunk..], parts)
        .map(|(chunk, part)| IoSlice::new(&chunk.data[part.start..part.end]))
        .collect()
}

/// Returns the parts of the next write, which begins at a position and has at most `most` bytes.
fn next<T>(chunks: &[Chunk<T>], at: Position, most: usize) -> Vec<Part<'_, T>> {
    let mut left = most;
    let mut start = at.offset;
    let mut parts = Vec::new();
    for chunk in &chunks[at.chunk..] {
        let of = chunk.data.len();
        let end = of.min(start + left);
        left -= end - start;
        parts.push(Part {
            tag: &chunk.tag,
            start,
            end,
            of,
        });
        if left == 0 {
            break;
        }
        start = 0;
    }
    parts
}

fn wait(file: &File) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::OUT)];
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
