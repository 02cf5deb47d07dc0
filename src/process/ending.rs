//! Termination of a tree: TERM to every process, five seconds of grace, then KILL until none is left.
//!
//! Not a thread and not a timer: the event loop calls it at [`Ending::poll_timeout`], or sooner. Invariant:
//! the leader is not reaped while an `Ending` of its tree is in progress.
//!
//! ```text
//!   start ──TERM──► Terminating ──GRACE or kill_now──► Killing ──GIVE_UP_AFTER──► GaveUp
//!                        └────────── none left ───────────┴─────────────────────► Ended
//! ```

use std::collections::HashSet;
use std::time::Duration;

use super::snapshot::Identity;
use super::{ProcessSnapshot, Signal, Tree};
use crate::time::Instant;

/// Time between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// Time for which KILL is repeated. It takes effect at once except in a process that waits for a device.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// Interval before the first scan. It doubles with each scan.
const FIRST_SCAN: Duration = Duration::from_millis(5);

/// Time for which consecutive scans must find no process before the tree counts as empty. A read of `/proc`
/// is not atomic: it may miss a process that forks and exits meanwhile, or one whose environment is
/// not readable during `exec`.
const CONFIRMATION: Duration = Duration::from_millis(20);

/// Longest interval between scans.
const LONGEST_SCAN_INTERVAL: Duration = Duration::from_millis(250);

/// Progress of a termination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// A process is left, and time to end it.
    Pending,
    /// None is left but the leader's zombie, which can be reaped.
    Ended,
    /// Some processes survived KILL: they wait for a device, or changed to another user. Reap the leader if it
    /// has ended.
    GaveUp {
        /// Number of processes left.
        left: usize,
    },
}

/// A tree in termination.
#[derive(Debug)]
pub struct Ending {
    tree: Tree,
    state: State,
    /// Processes seen in the tree, so that one that leaves it and clears its environment stays known.
    known: HashSet<Identity>,
    /// Time of the first scan of the current series that found no process.
    empty_since: Option<Instant>,
    interval: Duration,
    next: Instant,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// TERM was sent; KILL follows at the instant.
    Terminating {
        until: Instant,
        /// Latest start time in the snapshot for TERM. A member that is not newer and not known was missed.
        youngest: u64,
    },
    /// KILL is repeated until the instant.
    Killing {
        until: Instant,
    },
    Over(Progress),
}

impl Ending {
    /// Sends TERM once to every process of the tree, on a terminal after HUP.
    #[must_use]
    pub fn start(now: Instant, tree: Tree, snapshot: &mut ProcessSnapshot) -> Self {
        let mut known = HashSet::new();
        let table = snapshot.at(now);
        let members = tree.members(table, &known);
        for &signal in tree.termination_signals() {
            tree.signal_members(signal, table, &members);
        }
        let youngest = table.iter().map(|entry| entry.started).max();
        known.extend(members.iter().map(|entry| entry.identity()));
        Self {
            tree,
            state: State::Terminating {
                until: now + GRACE,
                youngest: youngest.unwrap_or(0),
            },
            known,
            empty_since: None,
            interval: FIRST_SCAN,
            next: now + FIRST_SCAN,
        }
    }

    /// Ends the grace period: sends KILL from now on.
    pub fn kill_now(&mut self, now: Instant, snapshot: &mut ProcessSnapshot) -> Progress {
        if let State::Terminating { until, .. } = &mut self.state {
            *until = now;
        }
        self.on_timeout(now, snapshot)
    }

    /// Scans for processes that are left and acts accordingly. Extra calls are harmless; a call when the leader's
    /// pidfd becomes readable shortens the termination.
    pub fn on_timeout(&mut self, now: Instant, snapshot: &mut ProcessSnapshot) -> Progress {
        if let State::Terminating { until, .. } = self.state
            && now >= until
        {
            let until = now + GIVE_UP_AFTER;
            self.state = State::Killing { until };
            self.interval = FIRST_SCAN;
            self.next = now;
        }
        let progress = self.scan(now, snapshot);
        match progress {
            Progress::Pending => self.schedule(now),
            over => self.state = State::Over(over),
        }
        progress
    }

    fn scan(&mut self, now: Instant, snapshot: &mut ProcessSnapshot) -> Progress {
        if let State::Over(progress) = self.state {
            return progress;
        }
        let table = snapshot.at(now);
        let members = self.tree.members(table, &self.known);
        let left = members.len();
        if left == 0 {
            let since = *self.empty_since.get_or_insert(now);
            return if now.since(since) < CONFIRMATION {
                Progress::Pending
            } else {
                Progress::Ended
            };
        }
        self.empty_since = None;
        match self.state {
            State::Terminating { youngest, .. } => {
                // Members that existed at TERM and did not get it. Later children get no signal: they may
                // belong to the cleanup.
                let missed = members.iter().filter(|entry| {
                    entry.started <= youngest && !self.known.contains(&entry.identity())
                });
                for entry in missed {
                    self.tree
                        .signal_missed(self.tree.termination_signals(), entry);
                }
            }
            State::Killing { until } if now >= until => return Progress::GaveUp { left },
            State::Killing { .. } => self.tree.signal_members(Signal::KILL, table, &members),
            State::Over(_) => {}
        }
        let seen = members.iter().map(|entry| entry.identity());
        self.known.extend(seen);
        Progress::Pending
    }

    fn schedule(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now + self.interval;
            self.interval = (self.interval * 2).min(LONGEST_SCAN_INTERVAL);
        }
        if self.empty_since.is_some() {
            self.next = self.next.min(now + FIRST_SCAN);
        }
        if let State::Terminating { until, .. } = self.state {
            self.next = self.next.min(until);
        }
    }

    /// Returns the time of the next call of [`Ending::on_timeout`], or `None` when the termination is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Over(_) => None,
            State::Terminating { .. } | State::Killing { .. } => Some(self.next),
        }
    }
}
