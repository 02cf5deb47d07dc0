//! The way of bytes from a pipe to its ring.

use std::io;
use std::os::fd::AsFd as _;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};

use super::Shared;
use crate::agent::ipc::{Extent, RingId};
use crate::agent::supervisor::limits::MOVE;
use crate::process::Pipe;

/// Bytes that were read.
pub(super) enum Moved {
    /// They are in the ring.
    Stored(usize),
    /// They exceed what the job may write.
    Dropped(usize),
}

/// Moves bytes from an output to `offset` of its ring. An output that has carried much is read into the mapped ring;
/// one that has not, and one whose ring cannot be mapped, is moved by the kernel.
pub(super) fn move_bytes(
    pipe: &Pipe,
    spliced: bool,
    shared: &mut Shared,
    (ring, extent, offset): (RingId, Extent, u64),
    most: usize,
) -> io::Result<usize> {
    match shared
        .outputs
        .fill(ring, extent, offset, most, pipe.as_fd())
    {
        Some(Err(error)) if Errno::from_io_error(&error) == Some(Errno::FAULT) => {
            // No memory for a page of the map.
            shared.outputs.unmap(ring);
        }
        Some(filled) => return filled,
        None => {}
    }
    let (mut position, _) = shared.outputs.position(ring, extent, offset);
    if spliced {
        let file = shared.outputs.file();
        let flags = SpliceFlags::NONBLOCK;
        match splice(pipe.as_fd(), None, file, Some(&mut position), most, flags) {
            // Not a pipe, or a file system that does not take it.
            Err(Errno::INVAL) => {}
            moved => return Ok(moved?),
        }
    }
    let most = most.min(shared.buffer.len());
    let length = rustix::io::read(pipe, &mut shared.buffer[..most])?;
    let bytes = &shared.buffer[..length];
    shared.outputs.write(ring, extent, offset, bytes)?;
    Ok(length)
}

/// Makes a pipe as large as a read or write, so that a program with much output or input is interrupted less often. The
/// system may refuse.
pub(super) fn grow(pipe: &Pipe) {
    let _ = fcntl_setpipe_size(pipe, MOVE);
}
