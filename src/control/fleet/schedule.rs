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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Instant = Instant::from_micros(1_000_000);

    fn ready(total: usize, rules: Rules) -> Schedule {
        let mut schedule = Schedule::new(total, rules);
        (0..total).for_each(|host| schedule.ready(host));
        schedule
    }

    fn begin(schedule: &mut Schedule, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| schedule.next(now)).collect()
    }

    #[test]
    fn hosts_begin_in_order_as_they_become_ready() {
        let mut schedule = Schedule::new(3, Rules::default());
        assert_eq!(schedule.next(START), None);
        schedule.ready(2);
        schedule.ready(1);
        assert_eq!(begin(&mut schedule, START), [1, 2]);
        schedule.ready(0);
        assert_eq!(begin(&mut schedule, START), [0]);
        for host in 0..3 {
            assert!(!schedule.is_done());
            assert!(!schedule.ended(host, host > 0, START));
        }
        assert!(schedule.is_done() && schedule.stopped().is_none());
    }

    #[test]
    fn a_batch_begins_after_the_pause_behind_the_one_before() {
        let rules = Rules {
            batches: Some(Batches {
                size: Share::Percent(40),
                pause: Duration::from_secs(5),
            }),
            ..Rules::default()
        };
        let mut schedule = ready(5, rules);
        assert_eq!(begin(&mut schedule, START), [0, 1]);
        schedule.ended(1, false, START);
        assert_eq!((schedule.next(START), schedule.deadline()), (None, None));
        schedule.ended(0, true, START);
        let later = START + Duration::from_secs(5);
        assert_eq!(
            (schedule.next(START), schedule.deadline()),
            (None, Some(later))
        );
        assert_eq!(begin(&mut schedule, later), [2, 3]);
        schedule.ended(2, true, later);
        schedule.ended(3, true, later);
        assert_eq!(begin(&mut schedule, later + Duration::from_secs(5)), [4]);
        schedule.ended(4, true, later);
        assert!(schedule.is_done() && schedule.deadline().is_none());
    }

    #[test]
    fn a_canary_that_fails_stops_the_run_and_one_that_is_ok_asks() {
        let canary = |then| Rules {
            canary: Some(Canary { hosts: 1, then }),
            ..Rules::default()
        };
        let mut schedule = ready(3, canary(Then::Go));
        assert_eq!(begin(&mut schedule, START), [0]);
        assert!(schedule.ended(0, false, START));
        assert_eq!(schedule.stopped(), Some(Stop::Canary));
        assert!(schedule.next(START).is_none() && schedule.is_done());
        assert!(schedule.waiting().eq([1, 2]));

        let mut schedule = ready(3, canary(Then::Go));
        begin(&mut schedule, START);
        assert!(!schedule.ended(0, true, START));
        assert_eq!(begin(&mut schedule, START), [1, 2]);

        for go in [false, true] {
            let mut schedule = ready(3, canary(Then::Ask));
            begin(&mut schedule, START);
            schedule.ended(0, true, START);
            assert!(schedule.asks() && schedule.next(START).is_none());
            schedule.answer(go, START);
            assert!(!schedule.asks());
            assert_eq!(begin(&mut schedule, START).len(), if go { 2 } else { 0 });
            assert_eq!(schedule.stopped(), (!go).then_some(Stop::Declined));
        }
    }

    #[test]
    fn a_canary_of_all_hosts_asks_nothing() {
        let rules = Rules {
            canary: Some(Canary {
                hosts: 2,
                then: Then::Ask,
            }),
            ..Rules::default()
        };
        let mut schedule = ready(2, rules);
        begin(&mut schedule, START);
        schedule.ended(0, true, START);
        schedule.ended(1, false, START);
        assert!(schedule.is_done() && !schedule.asks());
        assert_eq!(schedule.stopped(), None, "nothing was left to stop");
    }

    #[test]
    fn too_many_errors_stop_the_run_unless_nothing_is_left_of_it() {
        let rules = Rules {
            max_errors: Some(Share::Hosts(2)),
            batches: Some(Batches {
                size: Share::Hosts(2),
                pause: Duration::ZERO,
            }),
            ..Rules::default()
        };
        let mut schedule = ready(4, rules);
        begin(&mut schedule, START);
        assert!(!schedule.ended(0, false, START));
        assert!(schedule.ended(1, false, START));
        assert_eq!(schedule.stopped(), Some(Stop::Errors(2)));
        assert!(schedule.is_done());
        let mut schedule = ready(2, rules);
        begin(&mut schedule, START);
        schedule.ended(0, false, START);
        assert!(!schedule.ended(1, false, START), "it was the last one");
    }

    #[test]
    fn a_host_that_is_handed_back_begins_once_more_after_the_others_of_its_stage() {
        let rules = Rules {
            batches: Some(Batches {
                size: Share::Hosts(2),
                pause: Duration::ZERO,
            }),
            ..Rules::default()
        };
        let mut schedule = ready(3, rules);
        assert_eq!(schedule.next(START), Some(0));
        schedule.again(0);
        assert_eq!(begin(&mut schedule, START), [1, 0]);
        schedule.ended(1, true, START);
        assert_eq!(schedule.next(START), None);
        schedule.ended(0, true, START);
        assert_eq!(begin(&mut schedule, START), [2]);
    }

    proptest! {
        #[test]
        fn every_host_begins_once_and_ends_unless_the_run_stops(
            total in 1_usize..40,
            size in 1_usize..10,
            canary in proptest::option::of(1_usize..50),
            most in proptest::option::of(1_usize..10),
            failing: u64,
        ) {
            let rules = Rules {
                canary: canary.map(|hosts| Canary { hosts, then: Then::Go }),
                batches: Some(Batches { size: Share::Hosts(size), pause: Duration::ZERO }),
                max_errors: most.map(Share::Hosts),
                fail_fast: false,
            };
            let mut schedule = ready(total, rules);
            let (mut begun, mut errors) = (Vec::new(), 0);
            while !schedule.is_done() {
                let stage = begin(&mut schedule, START);
                prop_assert!(!stage.is_empty(), "the run stands still");
                for &host in &stage {
                    let is_ok = failing >> host & 1 == 0;
                    errors += usize::from(!is_ok);
                    schedule.ended(host, is_ok, START);
                }
                begun.extend(stage);
            }
            prop_assert!(begun.iter().copied().eq(0..begun.len()), "in order");
            prop_assert!(schedule.waiting().eq(begun.len()..total));
            prop_assert_eq!(begun.len() < total, schedule.stopped().is_some());
            if schedule.stopped().is_some() {
                prop_assert!(errors > 0);
            }
        }
    }
}
