//! What the system lets others see of a program's memory, which holds secret keys.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Has the system write no core dump of this program, and lets no other process of the same user read its
/// memory or trace it (`PR_SET_DUMPABLE` in prctl(2)). What it executes is not affected: execve(2) resets
/// the attribute.
pub(super) fn keep_private() {
    // The call fails for values that do not exist only, and it is a second line of defence.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
