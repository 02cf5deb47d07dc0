//! Protection of the program's memory, which contains secret keys, from other processes.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Disables core dumps, and denies other processes of the same user access to the memory and tracing
/// (`PR_SET_DUMPABLE` in prctl(2)). Executed programs are not affected: execve(2) resets the attribute.
pub(super) fn keep_private() {
    // The call fails only for undefined values, and it is a second line of defence.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
