//! The exit status of a process that is no child of this program (`PIDFD_INFO_EXIT`, Linux 6.15).

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Returns the wait status of a process that has ended and was reaped by its parent; `None` before that, and if the
/// kernel does not keep it.
///
/// # Errors
/// The kernel does not know the request.
pub(in crate::process) fn wait_status(pidfd: BorrowedFd<'_>) -> io::Result<Option<c_int>> {
    let mut info = MaybeUninit::<libc::pidfd_info>::zeroed();
    // SAFETY: all of it are numbers, so zeros are valid.
    unsafe { info.assume_init_mut() }.mask = libc::PIDFD_INFO_EXIT.into();
    // SAFETY: the kernel writes at most the size that the number of the request contains, which is that of the type.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, info.as_mut_ptr()) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was valid before, and the kernel has written numbers.
    let info = unsafe { info.assume_init() };
    let is_known = info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    Ok(is_known.then_some(info.exit_code))
}
