//! Children that have ended, found without `/proc`.

use std::mem::MaybeUninit;

use super::kernel;
use crate::process::Pid;

/// Returns a child that has ended and is not reaped, if there is one. It stays as it is.
pub fn ended_child() -> Option<Pid> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let options = usize::try_from(options).expect("flags are positive");
    let pointer = info.as_mut_ptr().expose_provenance();
    let all = libc::P_ALL as usize;
    // SAFETY: writes to `info` only, which lives until the call returns.
    unsafe { kernel::call(libc::SYS_waitid, [all, 0, pointer, options, 0]) }.ok()?;
    // SAFETY: all zeroes is a value, and the call leaves it or writes one that has a process id.
    Pid::from_raw(unsafe { info.assume_init().si_pid() })
}

/// Returns the session of a process, by default this one: 0 if its leader is outside of this pid namespace, which
/// `rustix` does not expect.
pub fn session_of(pid: Option<Pid>) -> Option<usize> {
    let pid = usize::try_from(Pid::as_raw(pid)).expect("a process id is positive");
    // SAFETY: only returns a number.
    unsafe { kernel::call(libc::SYS_getsid, [pid, 0, 0, 0, 0]) }.ok()
}
