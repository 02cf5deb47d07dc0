//! Descriptors that this process was started with.

use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_setfd};

/// Number of the first descriptor after the standard streams.
const FIRST: c_int = 3;

/// Takes a descriptor that the program was executed with, and closes it on the next exec. Returns `None` if it is not
/// open, was taken before or was opened by this program, whose descriptors are all closed on exec. Call while there is
/// one thread.
#[must_use]
pub fn inherited(number: c_int) -> Option<OwnedFd> {
    if number < FIRST {
        return None;
    }
    // SAFETY: the call takes any number and only reads a flag.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags == -1 || flags & libc::FD_CLOEXEC != 0 {
        return None;
    }
    // SAFETY: it is open, and without the flag it is not from this program, so nothing else owns it. From the next line
    // on it has the flag, so it is taken once.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC).ok()?;
    Some(descriptor)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_descriptor_of_this_program_is_not_taken() {
        let file = tempfile::tempfile().unwrap();
        assert!(inherited(file.as_raw_fd()).is_none());
        for number in [-1, 0, 1, 2, c_int::MAX] {
            assert!(inherited(number).is_none(), "{number}");
        }
    }
}
