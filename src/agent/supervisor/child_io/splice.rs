//! The way of bytes from a pipe to its ring.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};

use super::Shared;
use crate::agent::supervisor::limits::MOVE;
use crate::process::Pipe;

/// Bytes that were read.
pub(super) enum Moved {
    /// They are in the ring.
    Stored(usize),
    /// They exceed what the job may write.
    Dropped(usize),
}

/// Moves bytes from a pipe to a position of the outputs' file: with one copy by the kernel if it is a pipe.
pub(super) fn move_bytes(
    pipe: &mut Pipe,
    spliced: bool,
    shared: &mut Shared,
    position: u64,
    most: usize,
) -> io::Result<usize> {
    if spliced {
        let mut position = position;
        let file = shared.outputs.file();
        let flags = SpliceFlags::NONBLOCK;
        match splice(pipe.as_fd(), None, file, Some(&mut position), most, flags) {
            // Not a pipe, or a file system that does not take it.
            Err(Errno::INVAL) => {}
            moved => return Ok(moved?),
        }
    }
    let most = most.min(shared.buffer.len());
    let length = pipe.read(&mut shared.buffer[..most])?;
    let mut written = 0;
    while written < length {
        let at = position + written as u64;
        written += rustix::io::pwrite(shared.outputs.file(), &shared.buffer[written..length], at)?;
    }
    Ok(length)
}

/// Makes a pipe as large as a read, so that a program with much output is interrupted less often. The system may refuse.
pub(super) fn grow(pipe: &Pipe) {
    let _ = fcntl_setpipe_size(pipe, MOVE);
}
