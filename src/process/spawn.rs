//! From a `Spec` to a running `Process`, or the exact reason why not.
//!
//! Not what happens between clone and exec: that is `child`. Invariant: when it fails, nothing has run,
//! and no process and no descriptor is left of the attempt.

use super::image::Image;
use super::orphans::SpawnUnderWay;
use super::{Process, SpawnError, Spec, Tree, child, orphans, streams};

/// Starts a process: in a session and process group of its own, with the environment given and no other,
/// with descriptors 0, 1 and 2 and no others, with default signal dispositions and an empty mask, with umask
/// 022 and an OOM score adjustment of 0.
///
/// May be called from any thread; returns when `exec` has happened, so a file system that hangs blocks it.
/// The thread may end: nothing ties the process to it (which is why `PR_SET_PDEATHSIG` is not used).
///
/// # Errors
/// The step that failed and its error number, as `execve(2)` and its kin have it.
pub fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    let image = Image::new(spec)?;
    let (ours, theirs) = streams::open(spec)?;
    // Everything that can fail for want of something of ours has been done: from here on it is the
    // child's turn, and either it fails before it has executed anything or it runs.
    let under_way = SpawnUnderWay::begin();
    let born = child::launch(&image, &theirs)?;
    orphans::leaders().insert(born.pid);
    drop(under_way);
    Ok(Process::new(Tree::new(born.pid, spec), born.pidfd, ours))
}
