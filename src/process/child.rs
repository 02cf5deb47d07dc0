//! The making of a child, its steps until exec, and the only unsafe code of the project.
//!
//! Not policy, and no error texts. A child of one of two kinds is made:
//! - For the agent's own user, it shares the parent's memory until exec (`CLONE_VM`), on a stack of its own, so that
//!   no page tables are copied. Unlike after vfork(2) the parent goes on at the same time. Invariant: everything is
//!   prepared before; the child allocates nothing, takes no lock, touches no `errno` and cannot panic, and its
//!   [`Memory`] is kept until it has left it.
//! - For another user, it is a copy of the parent (fork(3)), in which the C library can look the user up.
//!
//! A child that has a cgroup is made in it (`CLONE_INTO_CGROUP`), which spares the milliseconds that moving a process
//! takes. A child that is refused that moves itself before anything else.
//!
//! `std::process` is unsuitable: it waits for exec, so a file system that does not answer would block the
//! caller. Its `execvp` passes a file of unknown format to `/bin/sh`, but only the requested program may run.
#![allow(
    unsafe_code,
    reason = "clone, sigaction, dup2, close_range, execve and the user database have no safe form; the blocks are small and each says why it holds"
)]

pub(super) mod ended;
mod ends;
pub(super) mod exit_info;
pub(super) mod inherited;
mod kernel;
pub(super) mod replace;
mod signals;
pub(super) mod user_database;

use std::ffi::{CStr, c_int};
use std::fs;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{Gid, Mode, OFlags, fchown, open};
use rustix::io::{Errno, write};
use rustix::process::{chdir, ioctl_tiocsctty, setrlimit};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use self::ends::Ends;
use self::kernel::CloneArguments;
use self::signals::{SignalSet, ignored, reset_signals, set_mask};
use super::image::{Credentials, Image};
use super::report::Record;
use super::streams::Descriptors;
use super::{Pid, SpawnError, Stage, script};

/// Size of the child's stack, in units. It needs a few KiB; the C library's `posix_spawn` uses 32 KiB.
const STACK: usize = (64 << 10) / size_of::<StackUnit>();

/// OOM score adjustment of the process that opens it, proc_pid_oom_score_adj(5).
const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Login uid of the process that opens it, by which the kernel's audit names the user.
const LOGIN_UID: &CStr = c"/proc/self/loginuid";

/// Directory of a program whose home directory cannot be entered.
const ROOT_DIRECTORY: &CStr = c"/";

/// Unit of the stack, with the alignment that every architecture accepts.
#[repr(align(16))]
struct StackUnit {
    _bytes: [u8; 16],
}

/// A child that was made.
pub(super) struct Child {
    pub(super) pid: Pid,
    /// `None` if it was made by fork(3), which opens none.
    pub(super) pidfd: Option<OwnedFd>,
    /// Memory that the child uses, if it shares it.
    pub(super) memory: Option<Memory>,
}

/// Origin of a child's image.
pub(super) enum Plan<'a> {
    /// Prepared before the child is made.
    Ready(Box<Image>),
    /// Returned by a lookup in the child. Only for a program with a single thread.
    LookUp(&'a dyn Fn() -> Result<Box<Image>, SpawnError>),
}

/// Memory that a child uses until it executes its program or ends: its image and its stack.
///
/// Dropping it leaks it, because the child may still use it.
pub(super) struct Memory(ManuallyDrop<Contents>);

struct Contents {
    prepared: Box<Prepared>,
    stack: Box<[MaybeUninit<StackUnit>]>,
}

/// What a child needs that shares the memory.
struct Prepared {
    image: Box<Image>,
    ends: Ends,
    /// Signals whose dispositions it sets to the default.
    signals: SignalSet,
}

// SAFETY: the pointers in an image point to strings that it owns.
unsafe impl Send for Memory {}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    /// Frees the memory. Call it only when the child has left it: when its report pipe is at its end, or when
    /// it was reaped.
    pub(super) fn free(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }
}

/// Makes a child and returns at once. The child writes a [`Record`] for each result to its report pipe.
pub(super) fn launch(plan: Plan, descriptors: &Descriptors) -> io::Result<Child> {
    launch_with(plan, descriptors, kernel::CLEAR_SIGHAND)
}

/// Does the same with a flag by which the kernel resets the signals that the parent catches. 0: it has none.
pub(super) fn launch_with(plan: Plan, descriptors: &Descriptors, clear: u64) -> io::Result<Child> {
    let ends = Ends::of(descriptors);
    // Signals stay blocked while the child has the parent's handlers, which write to shared pipes.
    let mask = set_mask(SignalSet::MAX);
    let made = match plan {
        Plan::Ready(image) if shares_memory() => clone(image, ends, clear),
        Plan::Ready(image) => copy(ends, || Ok(image), clear),
        Plan::LookUp(look_up) => copy(ends, look_up, clear),
    };
    set_mask(mask);
    made
}

/// True if children can share the memory: the OOM score adjustment of all processes that share it is the same, so
/// a child could not reset it.
fn shares_memory() -> bool {
    static SHARES: OnceLock<bool> = OnceLock::new();
    *SHARES.get_or_init(|| {
        let adjusted = || {
            let value = fs::read_to_string("/proc/self/oom_score_adj");
            value.is_ok_and(|value| value.trim() != "0")
        };
        kernel::SHARES_MEMORY && !adjusted()
    })
}

/// Returns the signals that a child of this flag has to reset itself.
fn to_reset(clear: u64) -> SignalSet {
    if clear == 0 {
        SignalSet::MAX
    } else {
        ignored()
    }
}

/// Makes a child that shares the memory. `clear` is the flag that spares it the reset of every signal; a kernel that does
/// not know it makes the child without.
fn clone(image: Box<Image>, ends: Ends, clear: u64) -> io::Result<Child> {
    let signals = to_reset(clear);
    let mut contents = ManuallyDrop::new(Contents {
        prepared: Box::new(Prepared {
            image,
            ends,
            signals,
        }),
        stack: Box::new_uninit_slice(STACK),
    });
    let mut pidfd: c_int = -1;
    let stack = contents.stack.as_mut_ptr();
    let arguments = CloneArguments {
        flags: u64::from((libc::CLONE_VM | libc::CLONE_PIDFD).cast_unsigned()) | clear,
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        stack: stack.expose_provenance() as u64,
        stack_size: size_of_val(&*contents.stack) as u64,
        ..CloneArguments::default()
    }
    .into_cgroup(ends.cgroup());
    let prepared: *const Prepared = &raw const *contents.prepared;
    // SAFETY: the stack is an array of aligned units. It and the image are freed when the child has left them
    // (`Memory::free`) and not changed before.
    let pid = unsafe { kernel::clone_onto_stack(&arguments, run_prepared, prepared) };
    match pid {
        Ok(pid) => {
            // SAFETY: the kernel opened it for this call, and no other owner exists.
            let pidfd = Some(unsafe { OwnedFd::from_raw_fd(pidfd) });
            let pid = as_pid(pid);
            let memory = Some(Memory(contents));
            Ok(Child { pid, pidfd, memory })
        }
        Err(errno) => {
            let Contents { prepared, .. } = ManuallyDrop::into_inner(contents);
            match errno {
                Errno::INVAL if clear != 0 => clone(prepared.image, ends, 0),
                // A container that refuses the call, because it cannot look at its arguments.
                Errno::NOSYS | Errno::PERM => fork(ends.moving(), || Ok(prepared.image)),
                errno => Err(errno.into()),
            }
        }
    }
}

/// Makes a child with a copy of the memory, in its cgroup if it has one.
///
/// The C library does not know of a child that is made without its fork(3). The program has a single thread, so that
/// no lock is held by another and the library's locks, which compare ids of threads, work with the old one.
fn copy(
    ends: Ends,
    image: impl FnOnce() -> Result<Box<Image>, SpawnError>,
    clear: u64,
) -> io::Result<Child> {
    if ends.cgroup().is_none() {
        return fork(ends, image);
    }
    let mut pidfd: c_int = -1;
    let arguments = CloneArguments {
        flags: u64::from(libc::CLONE_PIDFD.cast_unsigned()) | clear,
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        ..CloneArguments::default()
    }
    .into_cgroup(ends.cgroup());
    let signals = to_reset(clear);
    // SAFETY: as for fork(3): the child has a copy of all memory, and uses the C library only if the program has a
    // single thread (`Plan::LookUp`).
    match unsafe { kernel::clone_copy(&arguments) } {
        Ok(0) => run_copy(&ends, image, signals),
        Ok(pid) => Ok(Child {
            pid: as_pid(pid),
            // SAFETY: the kernel opened it for this call, and no other owner exists.
            pidfd: Some(unsafe { OwnedFd::from_raw_fd(pidfd) }),
            memory: None,
        }),
        Err(Errno::INVAL) if clear != 0 => copy(ends, image, 0),
        Err(Errno::NOSYS | Errno::PERM) => fork(ends.moving(), image),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a child with a copy of the memory, by the C library.
fn fork(ends: Ends, image: impl FnOnce() -> Result<Box<Image>, SpawnError>) -> io::Result<Child> {
    // SAFETY: the child calls the C library only if the program has a single thread (`Plan::LookUp`).
    let pid = match unsafe { libc::fork() } {
        0 => run_copy(&ends, image, SignalSet::MAX),
        -1 => return Err(io::Error::last_os_error()),
        pid => as_pid(pid),
    };
    Ok(Child {
        pid,
        pidfd: None,
        memory: None,
    })
}

fn as_pid(pid: c_int) -> Pid {
    Pid::from_raw(pid).expect("the id of a child is positive")
}

/// Entry point of a child that shares the memory.
extern "C" fn run_prepared(prepared: *const Prepared) -> ! {
    // SAFETY: `clone` passed a pointer to this type, which nobody changes.
    let Prepared {
        image,
        ends,
        signals,
    } = unsafe { &*prepared };
    let failure = match ends.separate() {
        Ok(()) => image.run(ends, *signals),
        Err(failure) => failure,
    };
    ends.fail(failure)
}

/// Entry point of a child with a copy of the memory. A panic aborts it here, instead of unwinding into the
/// parent's code.
extern "C" fn run_copy<F>(ends: &Ends, image: F, signals: SignalSet) -> !
where
    F: FnOnce() -> Result<Box<Image>, SpawnError>,
{
    let separated = ends.enter_cgroup().and_then(|()| ends.separate());
    let begun = separated.map(|()| write_file(OOM_SCORE_ADJ, b"0"));
    let failure = match begun.and_then(|()| image()) {
        Ok(image) => image.run(ends, signals),
        Err(failure) => failure,
    };
    ends.fail(failure)
}

impl Image {
    /// Replaces the child with the program, after a reset of `signals`. Returns only on failure.
    fn run(&self, ends: &Ends, signals: SignalSet) -> SpawnError {
        match self.prepare(ends, signals) {
            Ok(()) => SpawnError::of_errno(Stage::Execute)(self.execute()),
            Err(failure) => failure,
        }
    }

    /// Sets the attributes of the process. The order matters: limits and the login uid may need the privilege
    /// that the change of user drops, and the directory is entered with the rights of the new user.
    fn prepare(&self, ends: &Ends, signals: SignalSet) -> Result<(), SpawnError> {
        if self.on_terminal {
            self.take_terminal()
                .map_err(SpawnError::of_errno(Stage::Terminal))?;
        }
        // Refused to an unprivileged program.
        write_file(LOGIN_UID, self.login_uid.as_bytes());
        for (resource, limit) in &self.limits {
            setrlimit(*resource, *limit).map_err(SpawnError::of_errno(Stage::Limits))?;
        }
        if let Some(user) = &self.user {
            user.assume().map_err(SpawnError::of_errno(Stage::User))?;
        }
        let home = match chdir(&self.directory) {
            Err(errno) if self.directory_is_optional => {
                chdir(ROOT_DIRECTORY).map_err(SpawnError::of_errno(Stage::Directory))?;
                Some(errno.raw_os_error())
            }
            entered => {
                entered.map_err(SpawnError::of_errno(Stage::Directory))?;
                None
            }
        };
        if self.user.is_some() {
            ends.close_others_on_exec();
        }
        reset_signals(signals);
        ends.report(Record::Executing { home });
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
        if self.executes_own {
            return self.execute_own();
        }
        let mut failure = Errno::NOENT;
        for file in &self.candidates {
            let args = [
                file.as_ptr().expose_provenance(),
                self.argv.as_ptr().expose_provenance(),
                self.env.as_ptr().expose_provenance(),
                0,
                0,
            ];
            // SAFETY: three valid pointers; the last two point to arrays that end in a null pointer.
            match unsafe { kernel::call(libc::SYS_execve, args) } {
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(Errno::ACCESS) => failure = Errno::ACCESS,
                Err(other) => return other,
            }
        }
        failure
    }

    /// Executes the file of this program, which is open.
    fn execute_own(&self) -> Errno {
        let args = [
            kernel::number(script::DESCRIPTOR),
            c"".as_ptr().expose_provenance(),
            self.argv.as_ptr().expose_provenance(),
            self.env.as_ptr().expose_provenance(),
            kernel::number(libc::AT_EMPTY_PATH),
        ];
        // SAFETY: an open descriptor, an empty string, and two arrays that end in a null pointer.
        match unsafe { kernel::call(libc::SYS_execveat, args) } {
            Ok(_) => Errno::NOENT,
            Err(errno) => errno,
        }
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

/// Writes a setting of the child itself. If that is refused, or there is no /proc, the inherited value remains.
fn write_file(path: &CStr, value: &[u8]) {
    if let Ok(file) = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = write(&file, value);
    }
}
