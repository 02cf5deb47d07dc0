//! What the child does between clone and exec, and the only unsafe code of the project.
//!
//! Not policy, and no error texts. Invariant: everything was prepared before; the child allocates
//! nothing, takes no lock and cannot panic, for it lives in its parent's memory until it executes.
//!
//! `std::process` will not do: its `execvp` hands a file without a known format to `/bin/sh`, and nothing
//! but what was asked for may run; it has no `setsid` but by a closure, and with one it forks, which
//! copies the page tables of all the output that we hold for slow readers. So this does what the C
//! library's `posix_spawn` does: the child shares our memory, on a stack of its own, and the thread that
//! made it waits (`CLONE_VM`, `CLONE_VFORK`).
#![allow(
    unsafe_code,
    reason = "clone, sigaction, dup2, close_range and execve have no safe form; the blocks are small and each says why it holds"
)]

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, write};
use rustix::process::{
    WaitOptions, chdir, ioctl_tiocsctty, kill_process, setrlimit, setsid, umask, waitpid,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::image::{Credentials, Image};
use super::streams::Descriptors;
use super::{Pid, Signal, SpawnError, Stage, script};

/// Signals of Linux are numbered 1 to 64 (`signal(7)`), and a set of them is so many bits.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
type SignalSet = u64;

/// The child's stack, in units. It needs a few KiB; the C library gives its own 32.
const STACK: usize = (64 << 10) / size_of::<StackUnit>();

/// File mode creation mask of every job, umask(2): others may read what it makes, and not change it.
const UMASK: Mode = Mode::WGRP.union(Mode::WOTH);

/// proc_pid_oom_score_adj(5) of the process that opens it.
const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Aligned as every architecture wants a stack to be.
#[repr(align(16))]
struct StackUnit {
    _bytes: [u8; 16],
}

/// A process that has executed.
pub(super) struct Born {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
}

/// What parent and child share.
struct Shared<'a> {
    image: &'a Image,
    descriptors: &'a Descriptors,
    /// Written by the child if it has to give up.
    failure: Option<SpawnError>,
}

/// Starts a child and waits until it has executed or given up.
pub(super) fn launch(image: &Image, descriptors: &Descriptors) -> Result<Born, SpawnError> {
    let mut shared = Shared {
        image,
        descriptors,
        failure: None,
    };
    let mut stack = Box::<[StackUnit]>::new_uninit_slice(STACK);
    let top: *mut MaybeUninit<StackUnit> = stack.as_mut_ptr_range().end;
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // No signal may meet the child while it has our handlers: they write to pipes that it shares with us.
    let mask = set_mask(SignalSet::MAX);
    // SAFETY: `run` is given what it expects. The stack grows down from its end and, as everything else
    // that is passed, outlives the child's use of it: with CLONE_VFORK the call returns only when the
    // child has executed or ended, and this thread touches nothing meanwhile. What other threads do to
    // our memory does not concern what is shared, which is borrowed here.
    let pid = unsafe {
        let shared = (&raw mut shared).cast();
        libc::clone(run, top.cast(), flags, shared, &raw mut pidfd)
    };
    let error = io::Error::last_os_error();
    set_mask(mask);
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Err(SpawnError::of(Stage::Prepare)(error));
    };
    // A kernel before 5.2 gives none, and is of no use to us.
    if pidfd < 0 {
        let _ = kill_process(pid, Signal::KILL);
        shared.failure = Some(SpawnError::of(Stage::Prepare)(Errno::NOSYS));
    }
    if let Some(failure) = shared.failure {
        let _ = waitpid(Some(pid), WaitOptions::empty());
        if pidfd >= 0 {
            // SAFETY: as below.
            drop(unsafe { OwnedFd::from_raw_fd(pidfd) });
        }
        return Err(failure);
    }
    // SAFETY: made by the kernel for this call, and nobody else knows of it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Born { pid, pidfd })
}

/// The child. Its return value is its exit status.
extern "C" fn run(shared: *mut c_void) -> c_int {
    // SAFETY: it is what `launch` passed, and `launch` stands still.
    let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
    shared.failure = Some(shared.image.become_it(shared.descriptors));
    127
}

impl Image {
    /// Returns only if it failed.
    fn become_it(&self, descriptors: &Descriptors) -> SpawnError {
        let (stage, errno) = match self.prepare(descriptors) {
            Ok(()) => (Stage::Execute, self.execute()),
            Err(failed) => failed,
        };
        let errno = errno.raw_os_error();
        SpawnError { stage, errno }
    }

    /// In an order that matters: limits and the OOM score may need the privilege that is given up with the
    /// user, and the directory is entered with the rights of who will run in it.
    ///
    /// While the child is another user in our memory, nobody may look into it: the kernel has made it
    /// undumpable with the change of user, and so it stays, for us as well. A root agent leaves no core.
    fn prepare(&self, descriptors: &Descriptors) -> Result<(), (Stage, Errno)> {
        let at = |stage| move |errno| (stage, errno);
        setsid().map_err(at(Stage::Prepare))?;
        place(descriptors).map_err(at(Stage::Prepare))?;
        if self.on_terminal {
            ioctl_tiocsctty(rustix::stdio::stdin()).map_err(at(Stage::Terminal))?;
        }
        umask(UMASK);
        reset_oom_score();
        for (resource, limit) in &self.limits {
            setrlimit(*resource, *limit).map_err(at(Stage::Limits))?;
        }
        if let Some(user) = &self.user {
            user.assume().map_err(at(Stage::User))?;
        }
        chdir(&self.cwd).map_err(at(Stage::Directory))?;
        seal_descriptors(descriptors);
        reset_signals();
        Ok(())
    }

    /// Tries one file after the other, as a shell does: one that may not be executed is passed over, and
    /// named only if no other is found.
    fn execute(&self) -> Errno {
        let mut verdict = Errno::NOENT;
        for file in &self.candidates {
            // SAFETY: three valid pointers, the last two to arrays that end in a null pointer.
            unsafe { libc::execve(file.as_ptr(), self.argv.as_ptr(), self.env.as_ptr()) };
            match last_errno() {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS => verdict = Errno::ACCESS,
                other => return other,
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

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// Descriptors 0, 1 and 2, and then the script's. Not closed on exec, unlike what they are copied from.
fn place(descriptors: &Descriptors) -> Result<(), Errno> {
    for (target, fd) in (0..).zip(descriptors.standard.iter().chain(&descriptors.script)) {
        // SAFETY: the child's descriptors are copies of ours, and what it uses of them has a number above
        // its place.
        if unsafe { libc::dup2(fd.as_raw_fd(), target) } < 0 {
            return Err(last_errno());
        }
    }
    Ok(())
}

/// Everything above these is closed by `exec`. A belt: we open nothing without `O_CLOEXEC`, but what
/// started us may have left descriptors open.
fn seal_descriptors(descriptors: &Descriptors) {
    let first = if descriptors.script.is_some() {
        script::PLACE + 1
    } else {
        script::PLACE
    };
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: takes no pointers, and the child's descriptors are its own. A kernel that does not know it
    // (before 5.11) refuses: no harm.
    unsafe { libc::close_range(first.cast_unsigned(), u32::MAX, flags) };
}

/// Makes the child as likely a victim of the kernel's out-of-memory killer as any process, however the agent
/// is protected. Where that is refused (an agent that is marked as an early victim and may not change that, no
/// /proc) the child keeps what it has inherited: no reason not to run.
fn reset_oom_score() {
    if let Ok(file) = open(
        OOM_SCORE_ADJ,
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        let _ = write(&file, b"0");
    }
}

/// Default dispositions and an empty mask: what is ignored stays ignored over `exec`, as SIGPIPE is in a
/// Rust program. In this order: a signal that was waiting then does what it does to any process.
fn reset_signals() {
    // The kernel's `struct sigaction` and more: all zeros mean SIG_DFL, no flags, nothing masked, in
    // whichever order an architecture has the fields.
    let default = [0_u64; 8];
    for signal in SIGNALS {
        // SAFETY: reads `default`, writes nothing, installs no code; the child's dispositions are copies.
        // Not through the C library, which keeps two signals for itself and would leave them ignored.
        // KILL and STOP are refused.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<c_void>(),
                size_of::<SignalSet>(),
            );
        }
    }
    set_mask(0);
}

/// Sets this thread's mask, the C library's own signals included, and returns what it was.
fn set_mask(new: SignalSet) -> SignalSet {
    let mut old = new;
    // SAFETY: reads one set and writes the other. It cannot fail with these arguments; if it did, `old`
    // would be what was to be set.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const new,
            &raw mut old,
            size_of::<SignalSet>(),
        );
    }
    old
}
