//! System calls that do not touch `errno`, and a clone onto a stack of its own.
//!
//! A child that shares its parent's memory also shares the `errno` of the calling thread, which goes on at the
//! same time. On an architecture without code here, a child has a copy of the memory instead.

use std::ffi::{c_int, c_long};

use rustix::io::Errno;

/// True if [`clone_onto_stack`] exists for this architecture.
pub(super) const SHARES_MEMORY: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Flag for a child in another cgroup, `CLONE_INTO_CGROUP`. The C library has no name for it.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Flag for a child whose signals have their default dispositions, except those that are ignored,
/// `CLONE_CLEAR_SIGHAND` (Linux 5.5). The C library has no name for it.
pub(super) const CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Number of arguments of a system call here: the most that the child needs.
const ARGUMENTS: usize = 5;

/// Arguments of clone3(2), `struct clone_args`.
#[repr(C)]
#[derive(Default)]
pub(super) struct CloneArguments {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

impl CloneArguments {
    /// Lets the child be made in the cgroup of a directory (Linux 5.7).
    pub(super) fn into_cgroup(mut self, directory: Option<c_int>) -> Self {
        if let Some(directory) = directory {
            self.flags |= INTO_CGROUP;
            self.cgroup = number(directory) as u64;
        }
        self
    }
}

/// Makes a child by clone3(2) with a copy of the memory, as fork(3) does. Returns 0 in the child.
///
/// # Safety
/// That of `fork(2)`; the arguments have no stack and do not share the memory.
pub(super) unsafe fn clone_copy(arguments: &CloneArguments) -> Result<c_int, Errno> {
    let pointer = std::ptr::from_ref(arguments).expose_provenance();
    let args = [pointer, size_of::<CloneArguments>(), 0, 0, 0];
    // SAFETY: reads the arguments; the rest is up to the caller.
    let pid = unsafe { call(libc::SYS_clone3, args) }?;
    Ok(c_int::try_from(pid).expect("the kernel returns a number of 31 bits"))
}

/// Executes a system call.
///
/// # Safety
/// That of the system call with these arguments.
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::cast_possible_truncation,
    reason = "numbers of system calls have 10 bits"
)]
pub(super) unsafe fn call(number: c_long, args: [usize; ARGUMENTS]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the registers of the system call convention; the rest is up to the caller.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    from_kernel(result)
}

/// Executes a system call.
///
/// # Safety
/// That of the system call with these arguments.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(number: c_long, args: [usize; ARGUMENTS]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the registers of the system call convention; the rest is up to the caller.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") args[0] => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            options(nostack),
        );
    }
    from_kernel(result)
}

/// Executes a system call.
///
/// # Safety
/// That of the system call with these arguments.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn call(number: c_long, args: [usize; ARGUMENTS]) -> Result<usize, Errno> {
    // SAFETY: up to the caller.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4]) };
    usize::try_from(result).map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
    })
}

/// Converts a result: values from -4095 to -1 are error numbers.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn from_kernel(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| {
        let errno = i32::try_from(result.unsigned_abs()).unwrap_or(libc::EINVAL);
        Errno::from_raw_os_error(errno)
    })
}

/// Makes a child by clone3(2) that calls `run` with `argument`, on the stack in `arguments`. Returns its id.
///
/// # Safety
/// The stack is aligned to 16 bytes at its end. It and everything that `run` uses outlive the child, or its use
/// of this memory.
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::cast_possible_truncation,
    reason = "numbers of system calls have 10 bits"
)]
pub(super) unsafe fn clone_onto_stack<T>(
    arguments: &CloneArguments,
    run: extern "C" fn(*const T) -> !,
    argument: *const T,
) -> Result<c_int, Errno> {
    let result: isize;
    // SAFETY: the child continues behind the system call with the same registers and an empty stack, and does not
    // return from `run`. The frame pointer is cleared for debuggers.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") arguments,
            in("rsi") size_of::<CloneArguments>(),
            in("r8") run,
            in("r9") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    as_pid(result)
}

/// Makes a child by clone3(2) that calls `run` with `argument`, on the stack in `arguments`. Returns its id.
///
/// # Safety
/// The stack is aligned to 16 bytes at its end. It and everything that `run` uses outlive the child, or its use
/// of this memory.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn clone_onto_stack<T>(
    arguments: &CloneArguments,
    run: extern "C" fn(*const T) -> !,
    argument: *const T,
) -> Result<c_int, Errno> {
    let result: isize;
    // SAFETY: the child continues behind the system call with the same registers and an empty stack, and does not
    // return from `run`. The frame pointer is cleared for debuggers.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") std::ptr::from_ref(arguments) => result,
            in("x1") size_of::<CloneArguments>(),
            in("x9") run,
            in("x10") argument,
            lateout("x30") _,
        );
    }
    as_pid(result)
}

/// Does not exist for this architecture.
///
/// # Safety
/// Does nothing.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn clone_onto_stack<T>(
    _: &CloneArguments,
    _: extern "C" fn(*const T) -> !,
    _: *const T,
) -> Result<c_int, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn as_pid(result: isize) -> Result<c_int, Errno> {
    let pid = from_kernel(result)?;
    Ok(c_int::try_from(pid).expect("the kernel returns a number of 31 bits"))
}

/// Returns a number that is not negative as an argument.
pub(super) const fn number(value: c_int) -> usize {
    value.unsigned_abs() as usize
}
