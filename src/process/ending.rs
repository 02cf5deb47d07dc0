//! The end of a tree: TERM to every process of it, five seconds, then KILL until none is left.
//!
//! Not a thread and not a timer: the run loop calls it when [`Ending::poll_timeout`] says so, or sooner.
//! Invariant: the leader is unreaped as long as an `Ending` of its tree is at work.
//!
//! ```text
//!   start ──TERM──► asked ──GRACE or kill_now──► killing ──PATIENCE──► GaveUp
//!                     └────── none left ────────────┴────────────────► Ended
//! ```

use std::collections::HashSet;
use std::time::Duration;

use super::snapshot::Identity;
use super::{ProcessSnapshot, Signal, Tree};
use crate::time::Instant;

/// How long a process may take to end after TERM.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long KILL is repeated. It takes effect at once but in a process that waits for a device.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// The first look comes after this; each later one after twice the time.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// Nobody is believed to be left when nobody has been seen for so long, in several looks. A reading of
/// `/proc` takes its time, and may miss who forks and dies meanwhile, or who has no environment to be
/// recognised by while it executes.
const SURE: Duration = Duration::from_millis(20);

/// At the longest.
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

/// How far it got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Some process is left, and time.
    Pending,
    /// None is left but the leader's remains: reap it.
    Ended,
    /// These many survive KILL (they wait for a device, or became another user's). Reap the leader if it
    /// has ended.
    GaveUp {
        /// Processes left.
        left: usize,
    },
}

/// A tree being ended.
#[derive(Debug)]
pub struct Ending {
    tree: Tree,
    state: State,
    /// Every process that was seen in the tree, so that one that leaves it and wipes its traces stays known.
    known: HashSet<Identity>,
    /// When a look found nobody, with nobody seen since.
    empty_since: Option<Instant>,
    pause: Duration,
    next: Instant,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// TERM was sent; KILL follows at the instant.
    Asked {
        until: Instant,
        /// When the youngest process of the system had started then: who is older and unknown was missed.
        youngest: u64,
    },
    /// KILL is being sent, up to the instant.
    Killing {
        until: Instant,
    },
    Over(Progress),
}

impl Ending {
    /// Sends TERM, once, to every process of the tree (on a terminal HUP before).
    #[must_use]
    pub fn start(now: Instant, tree: Tree, snapshot: &mut ProcessSnapshot) -> Self {
        let mut known = HashSet::new();
        let table = snapshot.at(now);
        let members = tree.members(table, &known);
        for &signal in tree.request() {
            tree.signal_members(signal, table, &members);
        }
        let youngest = table.iter().map(|entry| entry.started).max();
        known.extend(members.iter().map(|entry| entry.identity()));
        Self {
            tree,
            state: State::Asked {
                until: now + GRACE,
                youngest: youngest.unwrap_or(0),
            },
            known,
            empty_since: None,
            pause: FIRST_LOOK,
            next: now + FIRST_LOOK,
        }
    }

    /// No more patience: KILL from now on.
    pub fn kill_now(&mut self, now: Instant, snapshot: &mut ProcessSnapshot) -> Progress {
        if let State::Asked { until, .. } = &mut self.state {
            *until = now;
        }
        self.on_timeout(now, snapshot)
    }

    /// Looks who is left and goes on accordingly. Spurious calls are harmless; one when the leader's
    /// pidfd becomes readable makes it end sooner.
    pub fn on_timeout(&mut self, now: Instant, snapshot: &mut ProcessSnapshot) -> Progress {
        if let State::Asked { until, .. } = self.state
            && now >= until
        {
            let until = now + GIVE_UP_AFTER;
            self.state = State::Killing { until };
            self.pause = FIRST_LOOK;
            self.next = now;
        }
        let progress = self.look(now, snapshot);
        match progress {
            Progress::Pending => self.schedule(now),
            over => self.state = State::Over(over),
        }
        progress
    }

    fn look(&mut self, now: Instant, snapshot: &mut ProcessSnapshot) -> Progress {
        if let State::Over(progress) = self.state {
            return progress;
        }
        let table = snapshot.at(now);
        let members = self.tree.members(table, &self.known);
        let left = members.len();
        if left == 0 {
            let since = *self.empty_since.get_or_insert(now);
            return if now.since(since) < SURE {
                Progress::Pending
            } else {
                Progress::Ended
            };
        }
        self.empty_since = None;
        match self.state {
            State::Asked { youngest, .. } => {
                // Who was there and was not asked. Children of those that were are left alone: they may be
                // what cleans up.
                let missed = members.iter().filter(|entry| {
                    entry.started <= youngest && !self.known.contains(&entry.identity())
                });
                for entry in missed {
                    self.tree.signal_stray(self.tree.request(), entry);
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
            self.next = now + self.pause;
            self.pause = (self.pause * 2).min(SLOWEST_LOOK);
        }
        if self.empty_since.is_some() {
            self.next = self.next.min(now + FIRST_LOOK);
        }
        if let State::Asked { until, .. } = self.state {
            self.next = self.next.min(until);
        }
    }

    /// When to call [`Ending::on_timeout`] next; `None` when it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Over(_) => None,
            State::Asked { .. } | State::Killing { .. } => Some(self.next),
        }
    }
}
