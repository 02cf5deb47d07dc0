//! seccomp: the system calls that the threads of the front need. All others fail with `EPERM`.
//!
//! None of them opens a file, starts a program, makes or connects a socket, traces or signals another process.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use crate::agent::switch::Switch;

/// Calls that are allowed with any arguments.
const ALLOWED: &[c_long] = &[
    // Bytes on open descriptors.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    // Names and errors of open sockets.
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    // Readiness, clocks and timers.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    // Memory; mmap and mprotect are below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads; clone is below. Another filter answers clone3, whose flags a filter cannot see.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals to this process.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Facts about this process.
    libc::SYS_getpid,
    libc::SYS_getpgid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrandom,
];

/// Older forms of allowed calls, which x86-64 still has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_time,
    libc::SYS_getpgrp,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Calls of the line editor: it waits for the terminal, and makes a pair of stream sockets that a signal handler writes
/// to; socketpair is below. A datagram socket of a pair can send to any other by its path, also descriptors.
#[cfg(target_arch = "x86_64")]
const OF_PROMPT: &[c_long] = &[libc::SYS_pselect6, libc::SYS_select];
#[cfg(not(target_arch = "x86_64"))]
const OF_PROMPT: &[c_long] = &[libc::SYS_pselect6];

/// Flags that a new thread has.
const THREAD: u64 = bits(libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND);

/// Flags that a new thread does not have: those of namespaces.
const NAMESPACES: u64 = bits(
    libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWUTS,
);

/// Operations on descriptors that neither send signals nor change what others see.
const FCNTL: [u64; 5] = [
    bits(libc::F_GETFD),
    bits(libc::F_SETFD),
    bits(libc::F_GETFL),
    bits(libc::F_SETFL),
    bits(libc::F_DUPFD_CLOEXEC),
];

/// Questions to a terminal or socket. In particular not `TIOCSTI`, which types on the terminal.
#[allow(
    clippy::unnecessary_cast,
    reason = "the type differs between C libraries"
)]
const IOCTL: [u64; 5] = [
    libc::FIONBIO as u64,
    libc::FIONREAD as u64,
    libc::TCGETS as u64,
    libc::TIOCGPGRP as u64,
    libc::TIOCGWINSZ as u64,
];

/// Changes of a terminal's mode, for the line editor: those of the kernel's two interfaces, at once and after the output.
#[allow(
    clippy::unnecessary_cast,
    reason = "the type differs between C libraries"
)]
const TERMINAL_MODE: [u64; 5] = [
    libc::TCSETS as u64,
    libc::TCSETSW as u64,
    libc::TCGETS2 as u64,
    libc::TCSETS2 as u64,
    libc::TCSETSW2 as u64,
];

/// The name of a thread, and those of memory areas, which the C library and the standard library set.
const PRCTL: [u64; 2] = [bits(libc::PR_SET_NAME), bits(libc::PR_SET_VMA)];

/// Options of a socket, by level, that [`crate::net::UdpCarrier`] sets again after an error: segmentation offload,
/// and what it learns about a datagram.
const SOCKET_OPTIONS: [(c_int, c_int); 9] = [
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (libc::IPPROTO_IP, libc::IP_RECVTOS),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    (libc::SOL_UDP, libc::UDP_GRO),
    (libc::SOL_UDP, libc::UDP_SEGMENT),
];

const EXECUTABLE: u64 = bits(libc::PROT_EXEC);

/// Bits of the type of a socket, without those of its flags.
const SOCKET_TYPE: u64 = 0xf;

/// All bits of an argument that is an `int`.
const INT: u64 = 0xffff_ffff;

/// A condition on an argument: the bits of a mask have a value.
#[derive(Clone, Copy)]
struct Masked {
    argument: u8,
    mask: u64,
    value: u64,
}

impl Masked {
    /// Returns the condition that an argument of the type `int` has a value.
    const fn int(argument: u8, value: u64) -> Self {
        Self {
            argument,
            mask: INT,
            value,
        }
    }
}

/// Returns a non-negative constant of the C library as an argument.
const fn bits(constant: c_int) -> u64 {
    constant.unsigned_abs() as u64
}

/// Filters the system calls of all threads of this process. Returns false if the kernel or the architecture has no
/// such filters. `prompt` is on if lines are edited on a terminal.
pub fn filter(prompt: Switch) -> bool {
    apply(prompt).is_ok()
}

fn apply(prompt: Switch) -> Result<(), Error> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    // The C library then creates threads by clone.
    let without_clone3: BpfProgram = SeccompFilter::new(
        rules([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        architecture,
    )?
    .try_into()?;
    let allowed: BpfProgram = SeccompFilter::new(
        rules(all(prompt)?),
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        architecture,
    )?
    .try_into()?;
    apply_filter_all_threads(&without_clone3)?;
    apply_filter_all_threads(&allowed)
}

/// Returns all allowed calls, each with the alternatives for its arguments.
fn all(prompt: Switch) -> Result<Vec<(c_long, Vec<SeccompRule>)>, Error> {
    let any = |&call: &c_long| (call, Vec::new());
    let mut all: Vec<_> = ALLOWED.iter().chain(OLDER).map(any).collect();
    let mut ioctl = IOCTL.to_vec();
    if prompt == Switch::On {
        all.extend(OF_PROMPT.iter().map(any));
        ioctl.extend(TERMINAL_MODE);
        let unix = Masked::int(0, bits(libc::AF_UNIX));
        let stream = Masked {
            argument: 1,
            mask: SOCKET_TYPE,
            value: bits(libc::SOCK_STREAM),
        };
        all.push((libc::SYS_socketpair, vec![rule(vec![unix, stream])?]));
    }
    let own = bits(rustix::process::getpid().as_raw_pid());
    let thread = Masked {
        argument: 0,
        mask: THREAD | NAMESPACES,
        value: THREAD,
    };
    let not_executable = Masked {
        argument: 2,
        mask: EXECUTABLE,
        value: 0,
    };
    let one = |argument: u8, values: &[u64]| {
        let values = values.iter();
        values
            .map(|&value| vec![Masked::int(argument, value)])
            .collect()
    };
    let options = SOCKET_OPTIONS
        .map(|(level, name)| vec![Masked::int(1, bits(level)), Masked::int(2, bits(name))]);
    let conditions: [(c_long, Vec<Vec<Masked>>); 8] = [
        (libc::SYS_clone, vec![vec![thread]]),
        (libc::SYS_mmap, vec![vec![not_executable]]),
        (libc::SYS_mprotect, vec![vec![not_executable]]),
        // A thread that aborts signals itself.
        (libc::SYS_tgkill, one(0, &[own])),
        (libc::SYS_fcntl, one(1, &FCNTL)),
        (libc::SYS_ioctl, one(1, &ioctl)),
        (libc::SYS_prctl, one(0, &PRCTL)),
        (libc::SYS_setsockopt, options.to_vec()),
    ];
    for (call, alternatives) in conditions {
        let rules = alternatives.into_iter().map(rule);
        all.push((call, rules.collect::<Result<_, _>>()?));
    }
    Ok(all)
}

/// Returns the rule that all conditions hold.
fn rule(conditions: Vec<Masked>) -> Result<SeccompRule, Error> {
    let conditions = conditions.into_iter().map(|condition| {
        SeccompCondition::new(
            condition.argument,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(condition.mask),
            condition.value,
        )
    });
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}

fn rules(
    calls: impl IntoIterator<Item = (c_long, Vec<SeccompRule>)>,
) -> BTreeMap<i64, Vec<SeccompRule>> {
    calls.into_iter().collect()
}
