//! All trees in termination, with one look at the process table for all of them that have no cgroup.
//!
//! Not the signals to one tree (`ending`). Invariants: reading `/proc` takes about a tenth of a processor's time at
//! most; no call works for longer than [`PIECE`]; the times of TERM, KILL and the report of a leader depend on no look.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant as Clock};

use rustix::time::{ClockId, clock_gettime};

use super::ending::{Ending, EndingParts, Progress};
use super::snapshot::{Markers, Reading, Table};
use super::{Process, Tree};
use crate::time::Instant;

/// Longest work of one call. A thread that serves others continues in the next turn of its loop.
const PIECE: Duration = Duration::from_millis(4);

/// Least time from one look to the next, as a multiple of the work of the first.
const REST: u32 = 10;

/// Trees in termination, each with a key. Keep one per thread.
///
/// A leader must not be reaped while its tree is here, unless it was before [`Endings::start`].
#[derive(Debug)]
pub struct Endings<K> {
    trees: BTreeMap<K, Ending>,
    results: VecDeque<(K, Progress)>,
    look: Look<K>,
    /// Trees with a cgroup that are due.
    cgroups: VecDeque<K>,
    markers: Markers,
    /// Processor time of the look in progress.
    work: Duration,
    /// Earliest time of the next look.
    earliest: Instant,
    /// Number of looks that were begun.
    looks: u64,
}

/// A look in progress.
#[derive(Debug)]
enum Look<K> {
    None,
    Reading(Reading),
    /// The trees that remain to be compared with the table; `None` without `/proc`.
    Judging(Option<Table>, VecDeque<K>),
}

impl<K> Default for Endings<K> {
    fn default() -> Self {
        Self {
            trees: BTreeMap::new(),
            results: VecDeque::new(),
            look: Look::None,
            cgroups: VecDeque::new(),
            markers: Markers::new(),
            work: Duration::ZERO,
            earliest: Instant::ZERO,
            looks: 0,
        }
    }
}

impl<K: Ord + Clone> Endings<K> {
    /// Returns an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts to end the tree of a process: TERM to each of its processes, on a terminal after HUP, and KILL after
    /// [`GRACE`](super::GRACE). Has no effect on a tree that is being ended.
    pub fn start(&mut self, key: K, process: &Process, now: Instant) {
        let tree: &Tree = process.tree();
        let ending = || Ending::start(now, tree.clone(), !process.is_reaped());
        self.trees.entry(key).or_insert_with(ending);
    }

    /// Starts to end a tree that another program has started, as [`start`](Self::start) does.
    pub fn start_tree(&mut self, key: K, tree: Tree, now: Instant) {
        let has_leader = tree.has_leader();
        let ending = || Ending::start(now, tree, has_leader);
        self.trees.entry(key).or_insert_with(ending);
    }

    /// Returns the state of a termination, for the program that takes this one's place.
    pub fn to_parts(&self, key: &K) -> Option<EndingParts> {
        self.trees.get(key).map(Ending::to_parts)
    }

    /// Continues the termination of the tree of a process, as this program has begun it before it was executed anew.
    pub fn adopt(&mut self, key: K, process: &Process, parts: &EndingParts, now: Instant) {
        let ending = Ending::adopt(now, process.tree().clone(), parts, !process.is_reaped());
        self.trees.insert(key, ending);
    }

    /// Ends the grace period of a tree: KILL is sent from now on.
    pub fn kill_now(&mut self, key: &K, now: Instant) {
        if let Some(ending) = self.trees.get_mut(key) {
            ending.kill_now(now);
        }
    }

    /// Processes the exit of a leader, after which a look may find the tree empty.
    pub fn on_exit(&mut self, key: &K, now: Instant) {
        if let Some(ending) = self.trees.get_mut(key) {
            ending.look_now(now);
        }
    }

    /// Forgets a tree, whose processes are no longer followed.
    pub fn forget(&mut self, key: &K) {
        self.trees.remove(key);
        self.results.retain(|(other, _)| other != key);
    }

    /// True if the tree is being ended.
    pub fn contains(&self, key: &K) -> bool {
        self.trees.contains_key(key)
    }

    /// Returns the number of trees that are being ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trees.len()
    }

    /// Returns the number of looks at the process table.
    #[must_use]
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// True if no tree is being ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Returns the next result. A tree that has [`Ended`](Progress::Ended) is forgotten.
    pub fn poll(&mut self) -> Option<(K, Progress)> {
        self.results.pop_front()
    }

    /// Returns the time of the next call of [`Endings::on_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phases = self.trees.values().filter_map(Ending::poll_timeout).min();
        let look = match self.look {
            Look::None => {
                let wanted = self.without_cgroup().map(Ending::next_look).min();
                wanted.map(|wanted| wanted.max(self.earliest))
            }
            Look::Reading(_) | Look::Judging(..) => Some(Instant::ZERO),
        };
        let cgroups = match self.cgroups.front() {
            Some(_) => Some(Instant::ZERO),
            None => self.with_cgroup().map(|(_, next)| next).min(),
        };
        phases.into_iter().chain(look).chain(cgroups).min()
    }

    /// Sends what is due and continues to look, for at most [`PIECE`]. Extra calls are harmless.
    pub fn on_timeout(&mut self, now: Instant) {
        let (begun, work) = (Clock::now(), processor_time());
        for (key, ending) in &mut self.trees {
            if let Some(progress) = ending.on_timeout(now) {
                self.results.push_back((key.clone(), progress));
            }
        }
        self.look_at_cgroups(now, begun);
        let is_due = |ending: &Ending| ending.next_look() <= now;
        if matches!(self.look, Look::None)
            && now >= self.earliest
            && self.without_cgroup().any(is_due)
        {
            self.look = self.begin();
            self.looks += 1;
            self.work = Duration::ZERO;
        }
        while !matches!(self.look, Look::None) && begun.elapsed() < PIECE {
            self.step(now);
        }
        self.work += processor_time().saturating_sub(work);
        if matches!(self.look, Look::None) {
            self.earliest = self.earliest.max(now + self.work * REST);
            self.work = Duration::ZERO;
        }
    }

    /// Looks at the cgroups that are due, each in its turn.
    fn look_at_cgroups(&mut self, now: Instant, begun: Clock) {
        if self.cgroups.is_empty() {
            let due = self.with_cgroup().filter(|&(_, next)| next <= now);
            self.cgroups = due.map(|(key, _)| key.clone()).collect();
        }
        while begun.elapsed() < PIECE
            && let Some(key) = self.cgroups.pop_front()
        {
            let ending = self.trees.get_mut(&key);
            let progress = ending.and_then(|ending| ending.look_at_cgroup(now));
            self.report(key, progress);
        }
    }

    fn report(&mut self, key: K, progress: Option<Progress>) {
        if let Some(progress) = progress {
            if progress == Progress::Ended {
                self.trees.remove(&key);
            }
            self.results.push_back((key, progress));
        }
    }

    fn with_cgroup(&self) -> impl Iterator<Item = (&K, Instant)> {
        let trees = self.trees.iter();
        trees
            .filter(|(_, ending)| ending.has_cgroup())
            .map(|(key, ending)| (key, ending.next_look()))
    }

    fn without_cgroup(&self) -> impl Iterator<Item = &Ending> {
        self.trees.values().filter(|ending| !ending.has_cgroup())
    }

    fn begin(&self) -> Look<K> {
        match Reading::begin() {
            Some(reading) => Look::Reading(reading),
            None => Look::Judging(None, self.keys()),
        }
    }

    /// Returns the trees to compare with a table. One that is added later gets the next.
    fn keys(&self) -> VecDeque<K> {
        let trees = self.trees.iter().filter(|(_, ending)| !ending.has_cgroup());
        trees.map(|(key, _)| key.clone()).collect()
    }

    fn step(&mut self, now: Instant) {
        match &mut self.look {
            Look::None => {}
            Look::Reading(reading) => {
                if reading.step(&mut self.markers)
                    && let Look::Reading(reading) = std::mem::replace(&mut self.look, Look::None)
                {
                    let table = reading.finish(&mut self.markers);
                    self.look = Look::Judging(Some(table), self.keys());
                }
            }
            Look::Judging(table, keys) => {
                let Some(key) = keys.pop_front() else {
                    self.look = Look::None;
                    return;
                };
                let ending = self.trees.get_mut(&key);
                let progress = ending.and_then(|ending| ending.on_look(now, table.as_ref()));
                self.report(key, progress);
            }
        }
    }
}

/// Returns the processor time of this thread, which does not count the time in which others run.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}
