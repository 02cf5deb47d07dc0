//! Order in which the hosts of a run begin: in stages, until a rule stops the run.
//!
//! Sans-IO: told what happens, it returns the next host to begin. Not the number of hosts at a time, which is the
//! [`Window`](crate::control::window::Window)'s. A stage is the canary, a batch, or all that remain; the next one begins
//! when every host of the one before has ended. Invariants: each host begins at most once, unless it is handed back
//! with [`Schedule::again`]; within a stage, hosts begin in order as soon as they are ready; after a stop no host
//! begins.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Share;
use crate::time::Instant;

/// Rules of a run.
#[derive(Clone, Copy, Default, Debug)]
pub struct Rules {
    /// Hosts that begin first, alone.
    pub canary: Option<Canary>,
    /// Division of the other hosts into stages; by default all are one.
    pub batches: Option<Batches>,
    /// Number of hosts that are not ok at which no further host begins.
    pub max_errors: Option<Share>,
    /// True if the first host that is not ok stops the run at once.
    pub fail_fast: bool,
}

/// First stage of a run, which has to end well.
#[derive(Clone, Copy, Debug)]
pub struct Canary {
    /// Number of hosts.
    pub hosts: usize,
    /// Continuation after it.
    pub then: Then,
}

/// Continuation after a canary that has ended well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// The user decides.
    Ask,
    /// The other hosts begin.
    Go,
}

/// Stages of equal size.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// Hosts of a stage.
    pub size: Share,
    /// Pause before the next one.
    pub pause: Duration,
}

/// Reason why no further host begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A host of the canary was not ok.
    Canary,
    /// The user did not want to go on after the canary.
    Declined,
    /// As many hosts as allowed were not ok.
    Errors(usize),
    /// One host was not ok, and the others are canceled.
    FailFast,
    /// The run was interrupted.
    Interrupted,
}

impl Stop {
    /// Returns the reason in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Canary => "the canary failed".into(),
            Self::Declined => "not continued after the canary".into(),
            Self::Errors(1) => "1 host was not ok".into(),
            Self::Errors(hosts) => format!("{hosts} hosts were not ok"),
            Self::FailFast => "a host was not ok, and the others are canceled".into(),
            Self::Interrupted => "interrupted".into(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Begun,
    Ended,
}

/// Event that the next stage waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    None,
    Until(Instant),
    Answer,
}

/// Order of the hosts of a run.
#[derive(Debug)]
pub struct Schedule {
    rules: Rules,
    states: Vec<State>,
    /// Hosts that could begin, of all stages.
    ready: BTreeSet<usize>,
    /// Hosts of this stage that begin once more, after those that have not begun.
    again: VecDeque<usize>,
    /// First host of the next stage.
    stage_end: usize,
    /// Hosts of this stage that have not ended.
    open: usize,
    /// Hosts that have begun and not ended.
    begun: usize,
    ended: usize,
    is_canary: bool,
    pause: Pause,
    errors: usize,
    stop: Option<Stop>,
    /// True if hosts were in progress when the run stopped at once.
    canceled: bool,
}

impl Schedule {
    /// Creates a schedule of `total` hosts, none of which is ready.
    #[must_use]
    pub fn new(total: usize, rules: Rules) -> Self {
        let mut schedule = Self {
            states: vec![State::Waiting; total],
            ready: BTreeSet::new(),
            again: VecDeque::new(),
            stage_end: 0,
            open: 0,
            begun: 0,
            ended: 0,
            is_canary: rules.canary.is_some(),
            pause: Pause::None,
            errors: 0,
            stop: None,
            canceled: false,
            rules,
        };
        schedule.begin_stage();
        schedule
    }

    fn begin_stage(&mut self) {
        let total = self.states.len();
        let size = match (self.is_canary, self.rules.canary, self.rules.batches) {
            (true, Some(canary), _) => canary.hosts,
            (_, _, Some(batches)) => batches.size.of(total),
            (_, _, None) => total,
        };
        let begin = self.stage_end;
        self.stage_end = begin.saturating_add(size).min(total);
        self.open = self.stage_end - begin;
        self.pause = Pause::None;
    }

    /// Notes that a host can begin.
    pub fn ready(&mut self, host: usize) {
        if self.states[host] == State::Waiting {
            self.ready.insert(host);
        }
    }

    /// Returns the next host, which thereby begins.
    pub fn next(&mut self, now: Instant) -> Option<usize> {
        if self.stop.is_some() {
            return None;
        }
        if self.open == 0
            && !self.is_last()
            && matches!(self.pause, Pause::Until(end) if end <= now)
        {
            self.begin_stage();
        }
        let host = match self.ready.first() {
            Some(&host) if host < self.stage_end => {
                self.ready.remove(&host);
                host
            }
            Some(_) | None => self.again.pop_front()?,
        };
        self.states[host] = State::Begun;
        self.begun += 1;
        Some(host)
    }

    /// Hands a host back that has begun, to begin once more.
    pub fn again(&mut self, host: usize) {
        debug_assert_eq!(self.states[host], State::Begun);
        self.states[host] = State::Waiting;
        self.begun -= 1;
        self.again.push_back(host);
    }

    /// Notes that a host has ended. Returns true if this stops the run.
    pub fn ended(&mut self, host: usize, is_ok: bool, now: Instant) -> bool {
        debug_assert_eq!(self.states[host], State::Begun);
        self.states[host] = State::Ended;
        self.begun -= 1;
        self.ended += 1;
        self.open = self.open.saturating_sub(1);
        if self.stop.is_some() {
            return false;
        }
        self.errors += usize::from(!is_ok);
        let most = self.rules.max_errors.map(|most| most.of(self.states.len()));
        self.stop = if is_ok {
            None
        } else if self.rules.fail_fast {
            self.canceled = self.begun > 0;
            Some(Stop::FailFast)
        } else if most.is_some_and(|most| self.errors >= most) {
            Some(Stop::Errors(self.errors))
        } else {
            None
        };
        if self.open == 0 && self.stop.is_none() {
            self.end_stage(now);
        }
        self.stopped().is_some()
    }

    fn end_stage(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_canary) && self.errors > 0 {
            self.stop = Some(Stop::Canary);
        } else if self.is_last() {
            self.pause = Pause::None;
        } else if self.stage_end == self.canary() && self.then() == Some(Then::Ask) {
            self.pause = Pause::Answer;
        } else {
            self.pause_for_batch(now);
        }
    }

    fn pause_for_batch(&mut self, now: Instant) {
        let pause = self
            .rules
            .batches
            .map_or(Duration::ZERO, |batches| batches.pause);
        self.pause = Pause::Until(now + pause);
    }

    fn canary(&self) -> usize {
        self.rules.canary.map_or(0, |canary| canary.hosts)
    }

    fn then(&self) -> Option<Then> {
        self.rules.canary.map(|canary| canary.then)
    }

    /// True if no stage follows this one.
    fn is_last(&self) -> bool {
        self.stage_end == self.states.len()
    }

    /// True if the user has to decide whether the run goes on.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.stop.is_none() && self.pause == Pause::Answer
    }

    /// Handles the user's decision.
    pub fn answer(&mut self, go: bool, now: Instant) {
        if self.asks() {
            if go {
                self.pause_for_batch(now);
            } else {
                self.stop = Some(Stop::Declined);
            }
        }
    }

    /// Stops the run, if it has not stopped yet: no further host begins.
    pub fn stop(&mut self, why: Stop) {
        self.stop.get_or_insert(why);
    }

    /// Returns the reason why the run has stopped, unless all hosts had begun and none was canceled by then.
    #[must_use]
    pub const fn stopped(&self) -> Option<Stop> {
        let all_ended = self.ended == self.states.len();
        let all_begun = self.begun + self.ended == self.states.len();
        match self.stop {
            Some(Stop::Canary | Stop::Declined | Stop::Errors(_)) if all_begun => None,
            Some(Stop::FailFast) if all_ended && !self.canceled => None,
            stop => stop,
        }
    }

    /// Returns true if no further host begins, whether or not one was left to.
    #[must_use]
    pub const fn has_stop(&self) -> bool {
        self.stop.is_some()
    }

    /// Returns the time at which the next stage begins, if a pause delays it.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.pause {
            Pause::Until(end) if self.stop.is_none() => Some(end),
            Pause::Until(_) | Pause::None | Pause::Answer => None,
        }
    }

    /// Returns true if no host is left that has begun or will begin.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.begun == 0 && (self.stop.is_some() || self.ended == self.states.len())
    }

    /// Returns true if no host is left to begin.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.stop.is_some() || self.begun + self.ended == self.states.len()
    }

    /// Returns the hosts that have not begun, or were handed back.
    pub fn waiting(&self) -> impl Iterator<Item = usize> {
        let states = self.states.iter().enumerate();
        states.filter_map(|(host, state)| (*state == State::Waiting).then_some(host))
    }
}

#[cfg(test)]
mod tests;
