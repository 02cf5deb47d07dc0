//! Adoption of orphaned descendants by this process, and their reaping.
//!
//! Not the reaping of leaders, which is up to each `Process`. Invariant: the exit status of a leader, or of
//! a child that other code in this program started (`std::process`), is never collected here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, kill_process, pidfd_open,
    set_child_subreaper, waitid,
};

use super::child::Memory;
use super::child::ended::{ended_child, session_of};
use super::snapshot::{Entry, Table};
use super::{Pid, has_procfs, procfs};

/// Makes this process the parent of its orphaned descendants, in place of init. Call once at start;
/// children do not inherit the attribute.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn become_subreaper() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    // Its descriptor stays open: opened here, so that it is not counted as a new one later.
    let _ = has_procfs();
    Ok(())
}

/// Reaps the orphans that have ended and returns their number. Call on SIGCHLD, or periodically.
///
/// An orphan is a zombie child that leads no live job and belongs to a session other than this program's, or a
/// leader whose [`Process`](super::Process) was dropped. The function does nothing while a
/// [`start`](super::start()) is in progress in another thread: call it again later.
#[allow(clippy::must_use_candidate, reason = "called for its effect")]
pub fn reap_orphans() -> usize {
    // The lock is held to the end, so that no leader is added or reaped meanwhile.
    let mut leaders = leaders();
    if leaders.starting > 0 {
        return 0;
    }
    let abandoned = leaders.reap_abandoned();
    let zombies = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if let Ok(None) = waitid(WaitId::All, zombies) {
        return abandoned;
    }
    let Some(this) = Entry::read(getpid()) else {
        return abandoned + leaders.reap_unlisted();
    };
    let orphan = |&pid: &Pid| {
        !leaders.pids.contains(&pid.as_raw_pid())
            && Entry::read(pid).is_some_and(|entry| entry.session != this.session)
    };
    let reap = |&pid: &Pid| reap(pid) == Reaped::Ended;
    abandoned + children().into_iter().filter(orphan).filter(reap).count()
}

/// Kills and reaps all children of this program, and those that they leave to it, for at most `time`. Returns false if some
/// are left: they wait for a device, or run as a user whom this program may not signal. For a program that has no other children
/// and serves nobody meanwhile.
#[must_use]
pub fn end_children(time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => continue,
            Err(_) => return true,
            Ok(None) => {}
        }
        // None is reaped before it is waited for, so each number is still its own.
        let killed = |pid: &Pid| kill_process(*pid, Signal::KILL).is_ok();
        let killed: Vec<Pid> = children().into_iter().filter(killed).collect();
        let handle = killed
            .first()
            .map(|&pid| pidfd_open(pid, PidfdFlags::empty()));
        let left = until.saturating_duration_since(Instant::now());
        let (Some(Ok(handle)), Ok(timeout)) = (handle, Timespec::try_from(left)) else {
            return false;
        };
        let mut events = [PollFd::new(&handle, PollFlags::IN)];
        if left.is_zero() {
            return false;
        }
        // A signal, as of the end of another child, is no end of the time.
        match poll(&mut events, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Result of reaping a child without waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaped {
    Ended,
    Running,
    NoChild,
}

fn reap(pid: Pid) -> Reaped {
    match waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    ) {
        Ok(Some(_)) => Reaped::Ended,
        Ok(None) | Err(Errno::INTR) => Reaped::Running,
        Err(_) => Reaped::NoChild,
    }
}

/// Returns the children of this process, zombies included: from `/proc/self/task/*/children`, or from all of
/// `/proc` if the kernel was built without that file.
fn children() -> Vec<Pid> {
    let Ok(tasks) = procfs::directory("self/task") else {
        return Vec::new();
    };
    let names = tasks.flatten().filter_map(|task| {
        let name = task.file_name().to_str().ok()?;
        name.parse::<u32>().is_ok().then(|| name.to_owned())
    });
    let lists: io::Result<Vec<String>> = names
        .map(|task| {
            let mut list = String::new();
            procfs::open(&format!("self/task/{task}/children"))?.read_to_string(&mut list)?;
            Ok(list)
        })
        // The children of a thread that ended meanwhile have moved to another thread: the next call finds them.
        .filter(|list| {
            list.as_ref()
                .err()
                .and_then(io::Error::raw_os_error)
                .is_none_or(|errno| errno != libc::ESRCH)
        })
        .collect();
    let Ok(lists) = lists else {
        let table = Table::read();
        return table.children_of(getpid()).map(|entry| entry.pid).collect();
    };
    lists
        .iter()
        .flat_map(|list| list.split_ascii_whitespace())
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}

static LEADERS: Mutex<Leaders> = Mutex::new(Leaders {
    starting: 0,
    pids: BTreeSet::new(),
    abandoned: BTreeMap::new(),
});

/// Leaders that are not reaped yet. The agent bounds their number.
pub(super) struct Leaders {
    /// Number of `start` calls in progress, which may have a child that is not in `pids` yet.
    starting: usize,
    pids: BTreeSet<i32>,
    /// Leaders whose `Process` was dropped, with the memory that they use before exec. They are children until they
    /// are reaped here.
    abandoned: BTreeMap<i32, Option<Memory>>,
}

/// Locks the list.
pub(super) fn leaders() -> MutexGuard<'static, Leaders> {
    // Every change is a single step, so a panic of a lock holder leaves no partial change.
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leaders {
    /// Adds a leader that runs: only its `Process` may reap it.
    pub(super) fn insert(&mut self, leader: Pid) {
        self.pids.insert(leader.as_raw_pid());
    }

    /// Removes a leader that was reaped.
    pub(super) fn remove(&mut self, leader: Pid) {
        self.pids.remove(&leader.as_raw_pid());
    }

    /// Leaves a leader to [`reap_orphans`], now or when it has ended.
    pub(super) fn abandon(&mut self, leader: Pid, memory: Option<Memory>) {
        self.remove(leader);
        match reap(leader) {
            Reaped::Running => {
                self.abandoned.insert(leader.as_raw_pid(), memory);
            }
            Reaped::Ended => {
                if let Some(memory) = memory {
                    memory.free();
                }
            }
            Reaped::NoChild => {}
        }
    }

    /// Reaps orphans without `/proc`. The kernel names one child that has ended, and another one when that is reaped; a
    /// leader that must wait hides those behind it until it is reaped too.
    fn reap_unlisted(&self) -> usize {
        let this = session_of(None);
        let mut reaped = 0;
        while let Some(pid) = ended_child()
            && !self.pids.contains(&pid.as_raw_pid())
            && session_of(Some(pid)) != this
            && reap(pid) == Reaped::Ended
        {
            reaped += 1;
        }
        reaped
    }

    fn reap_abandoned(&mut self) -> usize {
        let before = self.abandoned.len();
        self.abandoned.retain(|&pid, memory| {
            let result = Pid::from_raw(pid).map_or(Reaped::NoChild, reap);
            if result == Reaped::Ended
                && let Some(memory) = memory.take()
            {
                memory.free();
            }
            result == Reaped::Running
        });
        before - self.abandoned.len()
    }
}

/// Guard of a `start` in progress. While it exists, a child may exist that is not listed yet, so that nobody
/// may reap.
pub(super) struct StartGuard(());

impl StartGuard {
    pub(super) fn begin() -> Self {
        leaders().starting += 1;
        Self(())
    }
}

impl Drop for StartGuard {
    fn drop(&mut self) {
        leaders().starting -= 1;
    }
}
