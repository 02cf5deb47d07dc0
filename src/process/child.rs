//! The making of a child, its steps until exec, and the only unsafe code of the project.
//!
//! Not policy, and no error texts. Invariant: until exec the child of a program with several threads allocates
//! nothing and takes no lock, because another thread may have held it at the time of the fork. Only the lookup of
//! another user does both, in a child of fork(3), which leaves the C library's locks usable.
//!
//! `std::process` is unsuitable: it waits for exec, so a file system that does not answer would block the
//! caller. Its `execvp` passes a file of unknown format to `/bin/sh`, but only the requested program may run.
#![allow(
    unsafe_code,
    reason = "clone, sigaction, dup2, close_range, execve and the user database have no safe form; the blocks are small and each says why it holds"
)]

pub(super) mod user_database;

use std::ffi::{CStr, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::fs::{Gid, Mode, OFlags, fchown, open};
use rustix::io::{Errno, write};
use rustix::process::{
    PidfdFlags, chdir, ioctl_tiocsctty, kill_process, pidfd_open, setrlimit, setsid, umask,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::image::{Credentials, Image};
use super::report::Record;
use super::streams::Descriptors;
use super::{Pid, Signal, SpawnError, Stage, orphans, script};

/// Signal numbers of Linux (`signal(7)`). A signal set has one bit for each.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
type SignalSet = u64;

/// File mode creation mask of every job, umask(2): other users may read its files but not change them.
const UMASK: Mode = Mode::WGRP.union(Mode::WOTH);

/// OOM score adjustment of the process that opens it, proc_pid_oom_score_adj(5).
const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Login uid of the process that opens it, by which the kernel's audit names the user.
const LOGIN_UID: &CStr = c"/proc/self/loginuid";

/// Directory of a program whose home directory cannot be entered.
const ROOT_DIRECTORY: &CStr = c"/";

/// Highest descriptor that is closed one by one by a kernel without close_range(2), before Linux 5.9.
const LAST_CLOSED: c_int = 65_535;

/// Exit status of a child that could not execute its program.
const FAILED: c_int = 127;

/// A child that was made.
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
}

/// Origin of a child's image.
pub(super) enum Plan<'a> {
    /// Prepared before the child is made.
    Ready(&'a Image),
    /// Returned by a lookup in the child. Only for a program with a single thread.
    LookUp(&'a dyn Fn() -> Result<Image, SpawnError>),
}

/// Makes a child and returns at once. The child writes a [`Record`] for each result to its report pipe.
pub(super) fn launch(plan: &Plan, descriptors: &Descriptors) -> io::Result<Child> {
    // Signals stay blocked while the child has the parent's handlers, which write to shared pipes.
    let mask = set_mask(SignalSet::MAX);
    let made = match plan {
        Plan::Ready(_) => clone(),
        Plan::LookUp(_) => fork(),
    };
    let made = match made {
        Ok(Some(child)) => Ok(child),
        Ok(None) => run(plan, descriptors),
        Err(error) => Err(error),
    };
    set_mask(mask);
    made
}

/// Makes a child that shares no memory. Returns `None` in the child.
fn clone() -> io::Result<Option<Child>> {
    let mut pidfd: c_int = -1;
    let arguments = CloneArguments {
        flags: libc::CLONE_PIDFD.cast_unsigned().into(),
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        ..CloneArguments::default()
    };
    // SAFETY: as fork(2), without shared memory and on a copy of this stack: the child continues here. The
    // arguments outlive the call, and `pidfd` has room for a descriptor.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<CloneArguments>(),
        )
    };
    match pid {
        0 => Ok(None),
        -1 => match last_errno() {
            // An old kernel, or a container that refuses the call because it cannot look at its arguments.
            Errno::NOSYS | Errno::PERM => fork(),
            errno => Err(errno.into()),
        },
        pid => {
            // SAFETY: the kernel opened it for this call, and no other owner exists.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = as_pid(pid);
            Ok(Some(Child { pid, pidfd }))
        }
    }
}

/// Makes a child in which the C library may be used. Returns `None` in the child.
fn fork() -> io::Result<Option<Child>> {
    // SAFETY: the child calls the C library only if the program has a single thread (`Plan::LookUp`).
    let pid = match unsafe { libc::fork() } {
        0 => return Ok(None),
        -1 => return Err(io::Error::last_os_error()),
        pid => as_pid(pid.into()),
    };
    // The child is not reaped before its `Process` exists, so the id is its own.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(Child { pid, pidfd })),
        Err(errno) => {
            let _ = kill_process(pid, Signal::KILL);
            orphans::leaders().abandon(pid);
            Err(errno.into())
        }
    }
}

fn as_pid(pid: c_long) -> Pid {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.expect("the kernel returns a positive number of 31 bits")
}

/// Arguments of clone3(2), `struct clone_args`.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Runs the child. A panic aborts it here, instead of unwinding into the parent's code.
extern "C" fn run(plan: &Plan, descriptors: &Descriptors) -> ! {
    let report = &Report::of(descriptors);
    let failure = match begin(descriptors) {
        Err(failure) => failure,
        Ok(()) => match plan {
            Plan::Ready(image) => image.run(report),
            Plan::LookUp(look_up) => match look_up() {
                Ok(image) => image.run(report),
                Err(failure) => failure,
            },
        },
    };
    report.write(Record::Failed(failure));
    // SAFETY: ends the child without the exit handlers of its parent.
    unsafe { libc::_exit(FAILED) }
}

/// Writing end of the report pipe, at its number in the child.
struct Report(c_int);

impl Report {
    const fn of(descriptors: &Descriptors) -> Self {
        Self(if descriptors.script.is_some() {
            script::DESCRIPTOR + 1
        } else {
            script::DESCRIPTOR
        })
    }

    fn write(&self, record: Record) {
        let bytes = record.encode();
        // SAFETY: reads the record. If the parent has ended, nobody needs it.
        unsafe { libc::write(self.0, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// Separates the child from its parent: a session and descriptors of its own.
///
/// A child that does not get further for a while must hold none of the parent's descriptors, such as the pipes of
/// other processes, which would not end then.
fn begin(descriptors: &Descriptors) -> Result<(), SpawnError> {
    let at = SpawnError::of(Stage::Prepare);
    setsid().map_err(&at)?;
    install_descriptors(descriptors).map_err(&at)?;
    close_from(Report::of(descriptors).0 + 1);
    umask(UMASK);
    write_file(OOM_SCORE_ADJ, b"0");
    Ok(())
}

impl Image {
    /// Replaces the child with the program. Returns only on failure.
    fn run(&self, report: &Report) -> SpawnError {
        match self.prepare(report) {
            Ok(()) => SpawnError::of(Stage::Execute)(self.execute()),
            Err(failure) => failure,
        }
    }

    /// Sets the attributes of the process. The order matters: limits and the login uid may need the privilege
    /// that the change of user drops, and the directory is entered with the rights of the new user.
    fn prepare(&self, report: &Report) -> Result<(), SpawnError> {
        if self.on_terminal {
            self.take_terminal()
                .map_err(SpawnError::of(Stage::Terminal))?;
        }
        // Refused to an unprivileged program.
        write_file(LOGIN_UID, self.login_uid.as_bytes());
        for (resource, limit) in &self.limits {
            setrlimit(*resource, *limit).map_err(SpawnError::of(Stage::Limits))?;
        }
        if let Some(user) = &self.user {
            user.assume().map_err(SpawnError::of(Stage::User))?;
        }
        let home = match chdir(&self.directory) {
            Err(errno) if self.directory_is_optional => {
                chdir(ROOT_DIRECTORY).map_err(SpawnError::of(Stage::Directory))?;
                Some(errno.raw_os_error())
            }
            entered => {
                entered.map_err(SpawnError::of(Stage::Directory))?;
                None
            }
        };
        close_on_exec_from(report.0 + 1);
        reset_signals();
        report.write(Record::Executing { home });
        Ok(())
    }

    /// Makes descriptor 0 the session's controlling terminal, and gives it to the user.
    fn take_terminal(&self) -> Result<(), Errno> {
        let terminal = rustix::stdio::stdin();
        if let Some(user) = &self.user {
            fchown(terminal, Some(user.uid), None::<Gid>)?;
        }
        ioctl_tiocsctty(terminal)
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

/// Copies the descriptors to 0, 1, 2 and, for a script, 3, which stay open on exec, and that of the report to the
/// next number.
fn install_descriptors(descriptors: &Descriptors) -> Result<(), Errno> {
    for (target, fd) in (0..).zip(descriptors.standard.iter().chain(&descriptors.script)) {
        // SAFETY: the child has its own descriptor table, and each source has a number above its target.
        if unsafe { libc::dup2(fd.as_raw_fd(), target) } < 0 {
            return Err(last_errno());
        }
    }
    let Report(target) = Report::of(descriptors);
    // SAFETY: as above.
    if unsafe { libc::dup3(descriptors.report.as_raw_fd(), target, libc::O_CLOEXEC) } < 0 {
        return Err(last_errno());
    }
    Ok(())
}

/// Closes all descriptors from `first` on.
fn close_from(first: c_int) {
    // SAFETY: the child has its own descriptor table and uses none of them any more.
    if unsafe { libc::close_range(first.cast_unsigned(), u32::MAX, 0) } < 0 {
        for fd in first..=LAST_CLOSED {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

/// Marks the descriptors from `first` on close-on-exec: those that the user database has opened.
fn close_on_exec_from(first: c_int) {
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: takes no pointers, and the child has its own descriptor table. Linux before 5.11 returns an
    // error, which is ignored: this is a second line of defence.
    unsafe { libc::close_range(first.cast_unsigned(), u32::MAX, flags) };
}

/// Writes a setting of the child itself. If that is refused, or there is no /proc, the inherited value remains.
fn write_file(path: &CStr, value: &[u8]) {
    if let Ok(file) = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = write(&file, value);
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
