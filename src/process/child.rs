//! The steps of the child between clone and exec, and the only unsafe code of the project.
//!
//! Not policy, and no error texts. Invariant: everything is prepared before clone; the child allocates
//! nothing, takes no lock and cannot panic, because it shares its parent's memory until it executes.
//!
//! `std::process` is unsuitable. Its `execvp` passes a file of unknown format to `/bin/sh`, but only the
//! requested program may run. It offers `setsid` only through a closure, and with a closure it forks, which
//! copies the page tables of all buffered output. This module therefore works like the C library's
//! `posix_spawn`: the child shares the parent's memory, on a stack of its own, and the calling thread waits
//! (`CLONE_VM`, `CLONE_VFORK`).
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

/// Signal numbers of Linux (`signal(7)`). A signal set has one bit for each.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
type SignalSet = u64;

/// Size of the child's stack, in units. It needs a few KiB; the C library's `posix_spawn` uses 32 KiB.
const STACK: usize = (64 << 10) / size_of::<StackUnit>();

/// File mode creation mask of every job, umask(2): other users may read its files but not change them.
const UMASK: Mode = Mode::WGRP.union(Mode::WOTH);

/// OOM score adjustment of the process that opens it, proc_pid_oom_score_adj(5).
const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Unit of the stack, with the alignment that every architecture accepts.
#[repr(align(16))]
struct StackUnit {
    _bytes: [u8; 16],
}

/// A child that has executed its program.
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
}

/// Memory shared by parent and child.
struct Shared<'a> {
    image: &'a Image,
    descriptors: &'a Descriptors,
    /// Written by the child if a step fails.
    failure: Option<SpawnError>,
}

/// Starts a child and waits until it has executed its program or failed.
pub(super) fn launch(image: &Image, descriptors: &Descriptors) -> Result<Child, SpawnError> {
    let mut shared = Shared {
        image,
        descriptors,
        failure: None,
    };
    let mut stack = Box::<[StackUnit]>::new_uninit_slice(STACK);
    let top: *mut MaybeUninit<StackUnit> = stack.as_mut_ptr_range().end;
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // Signals stay blocked while the child has the parent's handlers, which write to shared pipes.
    let mask = set_mask(SignalSet::MAX);
    // SAFETY: `run` receives the type that it expects. The stack grows down from its end. It and all other
    // arguments outlive their use by the child: with CLONE_VFORK the call returns only after the child has
    // executed or ended, and this thread touches nothing meanwhile. Other threads cannot change the shared
    // values, which are borrowed here.
    let pid = unsafe {
        let shared = (&raw mut shared).cast();
        libc::clone(run, top.cast(), flags, shared, &raw mut pidfd)
    };
    let error = io::Error::last_os_error();
    set_mask(mask);
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Err(SpawnError::of(Stage::Prepare)(error));
    };
    // Linux before 5.2 returns no pidfd and is not supported.
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
    // SAFETY: the kernel opened it for this call, and no other owner exists.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

/// Entry point of the child. The return value is its exit status.
extern "C" fn run(shared: *mut c_void) -> c_int {
    // SAFETY: `launch` passed a pointer to this type, and its thread is suspended.
    let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
    shared.failure = Some(shared.image.run(shared.descriptors));
    127
}

impl Image {
    /// Replaces the child with the program. Returns only on failure.
    fn run(&self, descriptors: &Descriptors) -> SpawnError {
        let (stage, errno) = match self.prepare(descriptors) {
            Ok(()) => (Stage::Execute, self.execute()),
            Err(failed) => failed,
        };
        let errno = errno.raw_os_error();
        SpawnError { stage, errno }
    }

    /// Sets the attributes of the process. The order matters: limits and the OOM score may need the
    /// privilege that the change of user drops, and the directory is entered with the rights of the new user.
    ///
    /// While the child runs as another user in the parent's memory, that user must not be able to read it:
    /// the kernel clears the dumpable attribute on the change of user. The attribute belongs to the shared
    /// memory and stays cleared for the parent, so an agent that runs as root leaves no core dump.
    fn prepare(&self, descriptors: &Descriptors) -> Result<(), (Stage, Errno)> {
        let at = |stage| move |errno| (stage, errno);
        setsid().map_err(at(Stage::Prepare))?;
        install_descriptors(descriptors).map_err(at(Stage::Prepare))?;
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
        close_others_on_exec(descriptors);
        reset_signals();
        Ok(())
    }

    /// Tries one file after the other, as a shell does. A file without execute permission is skipped; its
    /// error is returned only if no other file is found.
    fn execute(&self) -> Errno {
        let mut failure = Errno::NOENT;
        for file in &self.candidates {
            // SAFETY: three valid pointers; the last two point to arrays that end in a null pointer.
            unsafe { libc::execve(file.as_ptr(), self.argv.as_ptr(), self.env.as_ptr()) };
            match last_errno() {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS => failure = Errno::ACCESS,
                other => return other,
            }
        }
        failure
    }
}

impl Credentials {
    /// Changes the ids of this thread, the only one of the child. Irrevocable: the saved ids change as well.
    fn assume(&self) -> Result<(), Errno> {
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// Copies the descriptors to 0, 1, 2 and, for a script, 3. The copies stay open on exec.
fn install_descriptors(descriptors: &Descriptors) -> Result<(), Errno> {
    for (target, fd) in (0..).zip(descriptors.standard.iter().chain(&descriptors.script)) {
        // SAFETY: the child has its own descriptor table, and each source has a number above its target.
        if unsafe { libc::dup2(fd.as_raw_fd(), target) } < 0 {
            return Err(last_errno());
        }
    }
    Ok(())
}

/// Marks all higher descriptors close-on-exec. The program opens everything with `O_CLOEXEC`, but may have
/// inherited descriptors without it.
fn close_others_on_exec(descriptors: &Descriptors) {
    let first = if descriptors.script.is_some() {
        script::DESCRIPTOR + 1
    } else {
        script::DESCRIPTOR
    };
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: takes no pointers, and the child has its own descriptor table. Linux before 5.11 returns an
    // error, which is ignored: this is a second line of defence.
    unsafe { libc::close_range(first.cast_unsigned(), u32::MAX, flags) };
}

/// Resets the child's OOM score adjustment to 0, whatever the agent's own is. If that is refused (the agent's
/// value is positive and it may not lower it, or there is no /proc), the child keeps the inherited value.
fn reset_oom_score() {
    if let Ok(file) = open(
        OOM_SCORE_ADJ,
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        let _ = write(&file, b"0");
    }
}

/// Sets default dispositions, then an empty mask. An ignored signal, such as SIGPIPE in a Rust program, would
/// stay ignored across `exec`. In this order a pending signal has its default action.
fn reset_signals() {
    // At least the size of the kernel's `struct sigaction`. All zeros mean SIG_DFL, no flags and an empty
    // mask, whatever the order of the fields on an architecture.
    let default = [0_u64; 8];
    for signal in SIGNALS {
        // SAFETY: reads `default`, writes nothing, installs no handler; the child's dispositions are its own.
        // A direct system call, because the C library reserves two signals and would leave them ignored.
        // The kernel refuses KILL and STOP.
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

/// Sets this thread's signal mask, including the C library's reserved signals, and returns the old mask.
fn set_mask(new: SignalSet) -> SignalSet {
    let mut old = new;
    // SAFETY: reads one set and writes the other. It cannot fail with these arguments; if it did, `old`
    // would equal `new`.
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
