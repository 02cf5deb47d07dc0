//! Dispositions and mask of signals.
//!
//! Invariant: as that of `child`, except for [`ignored`], which the parent calls: nothing here allocates, takes a lock
//! or touches `errno`.

use std::ffi::c_int;
use std::sync::OnceLock;

use super::kernel::{self, number};

/// Signal numbers of Linux (`signal(7)`). A signal set has one bit for each.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
pub(super) type SignalSet = u64;

/// Sets default dispositions of `signals`, then an empty mask. An ignored signal, such as SIGPIPE in a Rust program,
/// would stay ignored across `exec`. In this order a pending signal has its default action.
pub(super) fn reset_signals(signals: SignalSet) {
    // At least the size of the kernel's `struct sigaction`. All zeros mean SIG_DFL, no flags and an empty
    // mask, whatever the order of the fields on an architecture.
    let default = [0_u64; 8];
    for signal in SIGNALS.filter(|signal| signals & bit(*signal) != 0) {
        let action = default.as_ptr().expose_provenance();
        let args = [number(signal), action, 0, size_of::<SignalSet>(), 0];
        // SAFETY: reads `default`, writes nothing, installs no handler; the child's dispositions are its own.
        // A direct system call, because the C library reserves two signals and would leave them ignored.
        // The kernel refuses KILL and STOP.
        let _ = unsafe { kernel::call(libc::SYS_rt_sigaction, args) };
    }
    set_mask(0);
}

/// Returns the signals that this program ignores, which a child would go on to ignore. Read once: the program ignores
/// none later, and resetting one that it has caught since does no harm.
pub(super) fn ignored() -> SignalSet {
    static IGNORED: OnceLock<SignalSet> = OnceLock::new();
    *IGNORED.get_or_init(|| SIGNALS.filter(|signal| is_ignored(*signal)).map(bit).sum())
}

fn is_ignored(signal: c_int) -> bool {
    // As in `reset_signals`. The handler is the first field where children share the memory.
    let mut action = [0_u64; 8];
    let old = action.as_mut_ptr().expose_provenance();
    let args = [number(signal), 0, old, size_of::<SignalSet>(), 0];
    // SAFETY: writes `action` and changes nothing.
    let read = unsafe { kernel::call(libc::SYS_rt_sigaction, args) };
    read.is_err() || action[0] == libc::SIG_IGN as u64
}

/// Returns the set of one signal.
const fn bit(signal: c_int) -> SignalSet {
    1 << (signal - 1)
}

/// Sets this thread's signal mask, including the C library's reserved signals, and returns the old mask.
pub(super) fn set_mask(new: SignalSet) -> SignalSet {
    let mut old = new;
    let args = [
        number(libc::SIG_SETMASK),
        (&raw const new).expose_provenance(),
        (&raw mut old).expose_provenance(),
        size_of::<SignalSet>(),
        0,
    ];
    // SAFETY: reads one set and writes the other. It cannot fail with these arguments; if it did, `old`
    // would equal `new`.
    let _ = unsafe { kernel::call(libc::SYS_rt_sigprocmask, args) };
    old
}
