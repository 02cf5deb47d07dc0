//! The file that this program was executed from, to be executed again as another user.
//!
//! Invariant: it is opened before the child becomes the user, so neither a path that the user cannot reach nor another file
//! in its place matters.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open as open_file};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::script::DESCRIPTOR;

/// Opens the file. It is closed on exec, and its number is above [`DESCRIPTOR`], so that it can be copied there.
pub(super) fn open() -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = open_file("/proc/self/exe", flags, Mode::empty())?;
    fcntl_dupfd_cloexec(&file, DESCRIPTOR + 1)
}
