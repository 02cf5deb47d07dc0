//! Descendants whose parents died become ours: adopted, and reaped when they end.
//!
//! Not the leaders' reaping: each belongs to its `Process`. Invariant: neither a leader's status nor that
//! of a child somebody else in this program started (`std::process`) is ever taken away from them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};

use super::Pid;
use super::snapshot::{Entry, Table};

/// Makes this process the parent of every orphan below it, so that none escapes to init. Call once at
/// start; processes started from here do not inherit it.
///
/// # Errors
/// As `prctl(2)`.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Reaps the orphans that have ended; returns how many. Call on SIGCHLD, or now and then.
///
/// Those are our zombie children that lead no live job and are in another session than this program. It
/// does nothing while a [`spawn`](super::spawn) is under way: call again later.
#[allow(clippy::must_use_candidate, reason = "called for its effect")]
pub fn reap_orphans() -> usize {
    // The lock is held to the end: no leader appears or is reaped while we look.
    let leaders = leaders();
    if leaders.under_way > 0 {
        return 0;
    }
    let Some(us) = Entry::read(getpid()) else {
        return 0;
    };
    let orphan = |&pid: &Pid| {
        !leaders.pids.contains(&pid.as_raw_pid())
            && Entry::read(pid).is_some_and(|entry| entry.session != us.session)
    };
    let reap = |&pid: &Pid| {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)))
    };
    children().into_iter().filter(orphan).filter(reap).count()
}

/// Our children, zombies included. From `/proc/self/task/*/children`, or the long way where the kernel
/// was built without it.
fn children() -> Vec<Pid> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists: io::Result<Vec<String>> = tasks
        .flatten()
        .map(|task| fs::read_to_string(task.path().join("children")))
        // A thread that ended while we looked has handed its children to another; next time.
        .filter(|list| {
            list.as_ref()
                .err()
                .and_then(io::Error::raw_os_error)
                .is_none_or(|errno| errno != libc::ESRCH)
        })
        .collect();
    match lists {
        Ok(lists) => lists
            .iter()
            .flat_map(|list| list.split_ascii_whitespace())
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect(),
        Err(_) => Table::read().children_of(getpid()),
    }
}

static LEADERS: Mutex<Leaders> = Mutex::new(Leaders {
    under_way: 0,
    pids: BTreeSet::new(),
});

/// The leaders that are not reaped yet. As many as there are jobs, which the jobs room bounds.
pub(super) struct Leaders {
    /// Calls of `spawn` that may have a child whose id is not in `pids` yet.
    under_way: usize,
    pids: BTreeSet<i32>,
}

/// Locks the list.
pub(super) fn leaders() -> MutexGuard<'static, Leaders> {
    // Every change is a single step, so a panic elsewhere leaves nothing half done.
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leaders {
    /// It runs, and is its `Process`'s to reap from now on.
    pub(super) fn insert(&mut self, leader: Pid) {
        self.pids.insert(leader.as_raw_pid());
    }

    /// It has been reaped, or given up.
    pub(super) fn remove(&mut self, leader: Pid) {
        self.pids.remove(&leader.as_raw_pid());
    }
}

/// While it lives, a child may exist that is in no list: nobody but `spawn` may reap then.
pub(super) struct SpawnUnderWay(());

impl SpawnUnderWay {
    pub(super) fn begin() -> Self {
        leaders().under_way += 1;
        Self(())
    }
}

impl Drop for SpawnUnderWay {
    fn drop(&mut self) {
        leaders().under_way -= 1;
    }
}
