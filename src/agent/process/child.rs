//! What the child does between fork and exec, and the only unsafe code of the project.
//!
//! Not policy, and no error texts: numbers go to the parent through the standard library's pipe.
//! Invariant: everything was prepared before the fork; after it nothing allocates, locks or panics, for
//! another thread of the parent may have held any lock at that moment (`signal-safety(7)`).
//!
//! `execve` is called here rather than left to the standard library, because `execvp` hands a file without
//! a known format to `/bin/sh`, and nothing but what was asked for may run.
#![allow(
    unsafe_code,
    reason = "fork, sigaction, close_range and execve have no safe form; the blocks are small and each says why it holds"
)]

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, chdir, ioctl_tiocsctty, setrlimit, setsid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::Stage;

/// Signals of Linux are numbered 1 to 64 (`signal(7)`).
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;

/// The size of a set of them, a bit each.
const SIGNALS_BYTES: usize = 8;

/// The error number's place in what the child reports; the stage is above it. Linux's end at 4095.
const ERRNO_BITS: u32 = 16;

/// Everything that the child needs, in the form that system calls take.
pub(super) struct Image {
    /// The files to try, in order.
    pub(super) candidates: Vec<CString>,
    pub(super) cwd: CString,
    pub(super) argv: Strings,
    pub(super) env: Strings,
    /// Descriptor 0 is a terminal, to be the session's own.
    pub(super) on_terminal: bool,
    pub(super) limits: Vec<(Resource, Rlimit)>,
    pub(super) user: Option<Credentials>,
}

/// Whom to become.
pub(super) struct Credentials {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
}

impl Image {
    /// Makes `command` execute this image when it is spawned; its own program is never looked at.
    pub(super) fn install(self, command: &mut Command) {
        // SAFETY: `become_it` makes system calls on memory that was allocated before the fork, and
        // nothing else; see the module's invariant.
        unsafe {
            command.pre_exec(move || Err(io::Error::from_raw_os_error(self.become_it())));
        }
    }

    /// Returns only if it failed.
    fn become_it(&self) -> i32 {
        match self.prepare() {
            Ok(()) => report(Stage::Execute, self.execute()),
            Err((stage, errno)) => report(stage, errno.raw_os_error()),
        }
    }

    /// In an order that matters: limits may need the privilege that is given up with the user, and the
    /// directory is entered with the rights of who will run in it.
    fn prepare(&self) -> Result<(), (Stage, Errno)> {
        let at = |stage| move |errno| (stage, errno);
        setsid().map_err(at(Stage::Prepare))?;
        if self.on_terminal {
            ioctl_tiocsctty(rustix::stdio::stdin()).map_err(at(Stage::Terminal))?;
        }
        for (resource, limit) in &self.limits {
            setrlimit(*resource, *limit).map_err(at(Stage::Limits))?;
        }
        if let Some(user) = &self.user {
            user.assume().map_err(at(Stage::User))?;
        }
        chdir(&self.cwd).map_err(at(Stage::Directory))?;
        seal_descriptors();
        reset_signals();
        Ok(())
    }

    /// Tries one file after the other, as a shell does: one that may not be executed is passed over, and
    /// named only if no other is found.
    fn execute(&self) -> i32 {
        let mut verdict = libc::ENOENT;
        for file in &self.candidates {
            // SAFETY: three valid pointers, the last two to arrays that end in a null pointer.
            unsafe { libc::execve(file.as_ptr(), self.argv.as_ptr(), self.env.as_ptr()) };
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => verdict = libc::EACCES,
                other => return other.unwrap_or(libc::EINVAL),
            }
        }
        verdict
    }
}

impl Credentials {
    /// Of this thread, which is the only one in the child. Irrevocable: the saved ids change as well.
    fn assume(&self) -> Result<(), Errno> {
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)
    }
}

const fn report(stage: Stage, errno: i32) -> i32 {
    errno | (stage as i32) << ERRNO_BITS
}

/// The other end of `report`: an error number that has no stage is from a step of the standard library.
pub(super) const fn parse_report(number: i32) -> (Stage, i32) {
    let errno = number & ((1 << ERRNO_BITS) - 1);
    let stage = match number >> ERRNO_BITS {
        1 => Stage::Terminal,
        2 => Stage::Limits,
        3 => Stage::User,
        4 => Stage::Directory,
        5 => Stage::Execute,
        _ => Stage::Prepare,
    };
    (stage, errno)
}

/// Everything above the three is closed by `exec`. A belt: we open nothing without `O_CLOEXEC`, but what
/// started us may have left descriptors open. Not closed at once, for one of them takes the report home.
fn seal_descriptors() {
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: takes no pointers. A kernel that does not know it (before 5.11) refuses: no harm.
    unsafe { libc::close_range(3, u32::MAX, flags) };
}

/// Default dispositions and an empty mask: what is ignored stays ignored over `exec`, as SIGPIPE is in a
/// Rust program.
fn reset_signals() {
    // The kernel's `struct sigaction` and more: all zeros mean SIG_DFL, no flags, nothing masked, in
    // whichever order an architecture has the fields.
    let default = [0_u64; 8];
    for signal in SIGNALS {
        // SAFETY: reads `default`, writes nothing, installs no code. Not through the C library, which
        // keeps two signals for itself and would leave them ignored. KILL and STOP are refused.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                SIGNALS_BYTES,
            );
        }
    }
    let mut none = empty_set();
    // SAFETY: `none` is a valid set; the old one is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw mut none, ptr::null_mut()) };
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: a plain C struct, of which all zeros is a valid value and, on Linux, the empty set.
    unsafe { std::mem::zeroed() }
}

/// Blocks every signal in this thread until dropped, so that none meets the child while it still has our
/// handlers: they would write to pipes that it shares with us.
pub(super) struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    pub(super) fn new() -> Self {
        let mut all = empty_set();
        let mut before = empty_set();
        // SAFETY: both are valid sets, `all` being read and `before` written. Neither call can fail so.
        unsafe {
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        }
        Self { before }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` was written by the call that blocked them.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}

/// A null-terminated array of C strings, and what it points to.
pub(super) struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead to heap memory that is owned by the same value and never changed, so it does
// not matter which thread reads it, nor how many.
unsafe impl Send for Strings {}
// SAFETY: as above.
unsafe impl Sync for Strings {}

impl Strings {
    pub(super) fn new(owned: Vec<CString>) -> Self {
        let pointers = owned
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _owned: owned,
            pointers,
        }
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}
