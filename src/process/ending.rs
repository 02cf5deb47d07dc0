//! Termination of one tree: TERM to every process, five seconds of grace, then KILL until none is left.
//!
//! Not the reading of `/proc`, which `endings` does for all trees that have no cgroup. Invariant: the leader's process
//! group is signalled as a whole at each step as long as the leader is not reaped, also without any `/proc`.
//!
//! ```text
//!   start ──TERM──► Terminating ──GRACE or kill_now──► Killing ──KILL_TIME──► Overdue ──► Lingering (StillRunning)
//!                        └────────── none left ───────────┴──────────────────────┴───────────┴──► Ended
//! ```

use std::collections::HashSet;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::snapshot::{Entry, Identity, Table};
use super::tree::Group;
use super::{Cgroup, Pid, Signal, Tree, has_procfs};
use crate::time::Instant;

/// Time between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// Time after KILL at which a tree that is left is reported. KILL takes effect at once, except in a process that
/// waits for a device or that may not be killed.
pub const KILL_TIME: Duration = Duration::from_secs(1);

/// Interval before the first look. It doubles with each look.
pub(super) const FIRST_LOOK: Duration = Duration::from_millis(5);

/// Time for which consecutive looks must find no process before the tree counts as empty. A read of `/proc`
/// is not atomic: it may miss a process that forks and exits meanwhile, or one whose environment is
/// not readable during `exec`.
const CONFIRMATION: Duration = Duration::from_millis(20);

/// Longest interval between looks.
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);

/// Interval between looks at a tree that was reported as still running.
const LINGERING_INTERVAL: Duration = Duration::from_secs(2);

/// Result of a termination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// None is left but the leader's zombie, which can be reaped.
    Ended,
    /// Some processes have survived KILL for [`KILL_TIME`]: they wait for a device, or run as a user whom this
    /// program may not signal. They are followed, and [`Progress::Ended`] is reported when they are gone.
    StillRunning {
        /// True if the leader is one of them.
        leader: bool,
    },
}

/// A tree in termination.
#[derive(Debug)]
pub(super) struct Ending {
    tree: Tree,
    /// False if the leader was reaped before, so that its process id may be in use again.
    has_leader: bool,
    /// Its cgroup, unless the leader has left it.
    cgroup: Option<Cgroup>,
    /// True if TERM was sent to the processes of the cgroup.
    termed: bool,
    phase: Phase,
    /// Time of TERM in clock ticks since boot. TERM is not sent to processes that started later, because they may
    /// belong to the cleanup.
    term_at: u64,
    /// Processes seen in the tree, so that one that leaves it and clears its environment stays known.
    known: HashSet<Identity>,
    /// True if a look has sent KILL to what it found.
    killed: bool,
    /// Time of the first look of the current series that found no process.
    empty_since: Option<Instant>,
    interval: Duration,
    next_look: Instant,
}

/// State of a termination, besides its tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndingParts {
    phase: Phase,
    term_at: u64,
    known: Vec<(i32, u64)>,
    termed: bool,
    killed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Phase {
    /// TERM was sent; KILL follows at the instant.
    Terminating { until: Instant },
    /// KILL is repeated; a leader that is left at the instant is reported.
    Killing { until: Instant },
    /// The leader has ended in time. Other processes are reported if a look finds them again after KILL.
    Overdue,
    /// It was reported as still running.
    Lingering,
}

impl Ending {
    /// Sends TERM to the leader's process group, on a terminal after HUP. The next look sends it to the others.
    pub(super) fn start(now: Instant, tree: Tree, has_leader: bool) -> Self {
        let ending = Self {
            cgroup: tree.cgroup().cloned(),
            termed: false,
            tree,
            has_leader,
            phase: Phase::Terminating { until: now + GRACE },
            term_at: ticks_since_boot(),
            known: HashSet::new(),
            killed: false,
            empty_since: None,
            interval: FIRST_LOOK,
            next_look: now,
        };
        for &signal in ending.tree.termination_signals() {
            ending.signal_group(signal);
        }
        ending
    }

    /// Returns its state, for the program that takes this one's place.
    pub(super) fn to_parts(&self) -> EndingParts {
        let known = self.known.iter();
        EndingParts {
            phase: self.phase,
            term_at: self.term_at,
            known: known
                .map(|&(pid, started)| (pid.as_raw_pid(), started))
                .collect(),
            termed: self.termed,
            killed: self.killed,
        }
    }

    /// Continues a termination that this program has begun before it was executed anew.
    pub(super) fn adopt(now: Instant, tree: Tree, parts: &EndingParts, has_leader: bool) -> Self {
        let known = parts.known.iter();
        Self {
            cgroup: tree.cgroup().cloned(),
            tree,
            termed: parts.termed,
            has_leader,
            phase: parts.phase,
            term_at: parts.term_at,
            known: known
                .filter_map(|&(pid, started)| Some((Pid::from_raw(pid)?, started)))
                .collect(),
            killed: parts.killed,
            empty_since: None,
            interval: FIRST_LOOK,
            next_look: now,
        }
    }

    /// Ends the grace period: KILL is sent from now on.
    pub(super) fn kill_now(&mut self, now: Instant) {
        if let Phase::Terminating { .. } = self.phase {
            self.phase = Phase::Killing {
                until: now + KILL_TIME,
            };
            self.interval = FIRST_LOOK;
            self.next_look = now;
            self.signal_group(Signal::KILL);
            self.kill_cgroup();
        }
    }

    /// Advances the phase. Needs no look.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Progress> {
        match self.phase {
            Phase::Terminating { until } if now >= until => self.kill_now(now),
            Phase::Killing { until } if now >= until => {
                if self.has_leader && !has_ended(self.tree.leader()) {
                    return Some(self.linger(true));
                }
                self.phase = Phase::Overdue;
            }
            Phase::Terminating { .. }
            | Phase::Killing { .. }
            | Phase::Overdue
            | Phase::Lingering => {}
        }
        None
    }

    fn linger(&mut self, leader: bool) -> Progress {
        self.phase = Phase::Lingering;
        self.interval = LINGERING_INTERVAL;
        Progress::StillRunning { leader }
    }

    /// Returns the time of the next call of [`Ending::on_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Terminating { until } | Phase::Killing { until } => Some(until),
            Phase::Overdue | Phase::Lingering => None,
        }
    }

    /// Returns the time from which on another look is wanted.
    pub(super) const fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Requests a look at once, because something has changed.
    pub(super) fn look_now(&mut self, now: Instant) {
        self.next_look = self.next_look.min(now);
    }

    /// True if its cgroup shows what is left, so that no look at the process table is needed.
    pub(super) const fn has_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// Looks at the cgroup and acts on what is in it.
    pub(super) fn look_at_cgroup(&mut self, now: Instant) -> Option<Progress> {
        let populated = match &self.cgroup {
            Some(cgroup) => cgroup.is_populated(),
            None => return None,
        };
        let progress = match populated {
            Ok(true) => {
                self.empty_since = None;
                self.act_on_cgroup()
            }
            Ok(false) => self.on_empty_cgroup(now),
            Err(_) => {
                self.cgroup = None;
                None
            }
        };
        self.schedule(now);
        progress
    }

    fn act_on_cgroup(&mut self) -> Option<Progress> {
        match self.phase {
            Phase::Terminating { .. } => {
                if !std::mem::replace(&mut self.termed, true) && has_procfs() {
                    self.term_cgroup();
                }
                None
            }
            Phase::Overdue if self.killed => Some(self.linger(false)),
            Phase::Killing { .. } | Phase::Overdue | Phase::Lingering => {
                self.killed = true;
                self.signal_group(Signal::KILL);
                self.kill_cgroup();
                None
            }
        }
    }

    /// Sends TERM to the processes of the cgroup that are not in the leader's group.
    fn term_cgroup(&self) {
        let members = self.cgroup.iter().flat_map(Cgroup::members);
        let entries = members.filter_map(Entry::read);
        for entry in entries.filter(|entry| entry.started <= self.term_at) {
            let signals = self.tree.termination_signals();
            self.tree.signal_outside(signals, &entry, self.group());
        }
    }

    /// Decides about a cgroup without processes. The kernel's answer is certain, unlike a look at `/proc`.
    fn on_empty_cgroup(&mut self, now: Instant) -> Option<Progress> {
        if !self.has_leader || has_ended(self.tree.leader()) {
            return Some(Progress::Ended);
        }
        // The leader is about to end, or has moved to another cgroup.
        let since = *self.empty_since.get_or_insert(now);
        if now.since(since) >= CONFIRMATION {
            self.cgroup = None;
        }
        None
    }

    /// Kills all that is in the cgroup. If that is refused, the looks at the process table remain.
    fn kill_cgroup(&mut self) {
        if self
            .cgroup
            .as_ref()
            .is_some_and(|cgroup| cgroup.kill().is_err())
        {
            self.cgroup = None;
        }
    }

    /// Acts on the processes that a look has found. `None` stands for no `/proc`.
    pub(super) fn on_look(&mut self, now: Instant, table: Option<&Table>) -> Option<Progress> {
        let progress = match table {
            Some(table) => self.scan(now, table),
            None => self.without_proc(),
        };
        self.schedule(now);
        progress
    }

    /// Sets the time of the next look.
    fn schedule(&mut self, now: Instant) {
        self.next_look = now + self.interval;
        self.interval = match self.phase {
            Phase::Lingering => LINGERING_INTERVAL,
            Phase::Terminating { .. } | Phase::Killing { .. } | Phase::Overdue => {
                (self.interval * 2).min(LONGEST_INTERVAL)
            }
        };
        if self.empty_since.is_some() {
            self.next_look = self.next_look.min(now + FIRST_LOOK);
        }
    }

    fn group(&self) -> Group {
        if self.has_leader {
            Group::Signalled
        } else {
            Group::Unknown
        }
    }

    fn scan(&mut self, now: Instant, table: &Table) -> Option<Progress> {
        let members = self.tree.members(table, &self.known);
        if members.is_empty() {
            let since = *self.empty_since.get_or_insert(now);
            return (now.since(since) >= CONFIRMATION).then_some(Progress::Ended);
        }
        self.empty_since = None;
        let group = self.group();
        match self.phase {
            Phase::Terminating { .. } => {
                let missed = |entry: &&&Entry| {
                    entry.started <= self.term_at && !self.known.contains(&entry.identity())
                };
                let signals = self.tree.termination_signals();
                for entry in members.iter().filter(missed) {
                    self.tree.signal_outside(signals, entry, group);
                }
            }
            Phase::Overdue if self.killed => return Some(self.linger(false)),
            Phase::Killing { .. } | Phase::Overdue | Phase::Lingering => {
                self.killed = true;
                self.signal_group(Signal::KILL);
                for entry in &members {
                    self.tree.signal_outside(&[Signal::KILL], entry, group);
                }
            }
        }
        let seen = members.iter().map(|entry| entry.identity());
        self.known.extend(seen);
        None
    }

    /// Without `/proc`, only the leader and its process group are known. KILL ends all of the group, so nothing is
    /// left of it when the leader has ended after that.
    fn without_proc(&mut self) -> Option<Progress> {
        match self.phase {
            Phase::Terminating { .. } => None,
            Phase::Killing { .. } | Phase::Overdue | Phase::Lingering => {
                self.signal_group(Signal::KILL);
                let ended = !self.has_leader || has_ended(self.tree.leader());
                ended.then_some(Progress::Ended)
            }
        }
    }

    fn signal_group(&self, signal: Signal) {
        if self.has_leader {
            self.tree.signal_group(signal);
        }
    }
}

/// True if a process that is not reaped has ended.
fn has_ended(leader: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(leader), options) {
        Ok(None) | Err(Errno::INTR) => false,
        Ok(Some(_)) => true,
        // It is no child: one that was adopted from another program.
        Err(_) => rustix::process::test_kill_process(leader) == Err(Errno::SRCH),
    }
}

/// Returns the present time in the unit of start times in `/proc`.
fn ticks_since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let ticks = rustix::param::clock_ticks_per_second();
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(ticks) + rest.saturating_mul(ticks) / 1_000_000_000
}
