//! Spawning: from a `Spec` to a running `Process`, or the step that failed and its error number.
//!
//! Not the steps between clone and exec (`child`). Invariant: after a failure no program has run, and no
//! process and no descriptor is left.

use super::image::Image;
use super::orphans::SpawnGuard;
use super::{Process, SpawnError, Spec, Tree, child, orphans, streams};

/// Starts a process in a session and process group of its own, with exactly the given environment, with
/// descriptors 0, 1 and 2 (and 3 for a script) only, with default signal dispositions, an empty signal mask,
/// umask 022 and an OOM score adjustment of 0.
///
/// May be called from any thread. It returns after `exec`, so a file system that hangs blocks it. The process
/// outlives the calling thread, which is why `PR_SET_PDEATHSIG` is not used.
///
/// # Errors
/// The step that failed, with the error number of its system call.
pub fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    let image = Image::new(spec)?;
    let (streams, child_ends) = streams::open(spec)?;
    // The parent's own resources are allocated. From here on, the child either fails before it has executed
    // anything, or runs.
    let guard = SpawnGuard::begin();
    let child = child::launch(&image, &child_ends)?;
    orphans::leaders().insert(child.pid);
    drop(guard);
    let tree = Tree::new(child.pid, spec);
    Ok(Process::new(tree, child.pidfd, streams))
}
