//! Number of hosts that may be begun now, of a run with many.
//!
//! Sans-IO. Not the order of the hosts, nor what is done with them. Invariants: a host that has answered holds a place
//! until it ends, and nothing begins while all places are held; a host that does not answer holds its place for a limited
//! time, and is counted until it answers or ends, so that the hosts in progress are bounded. That time follows the time
//! that answers take: where a busy machine delays all of them, not more and more hosts begin. The places grow in number
//! only where commands that run hold them, as those cost this side little.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::limits;
use crate::time::Instant;

/// Number of the places of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    first: usize,
    most: usize,
}

impl Places {
    /// Creates a number that stays as it is; at least one.
    #[must_use]
    pub const fn fixed(places: usize) -> Self {
        let first = if places == 0 { 1 } else { places };
        Self { first, most: first }
    }

    /// Returns the same number, but never more than `most`; at least one.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        let most = most.max(1);
        Self {
            first: self.first.min(most),
            most: self.most.min(most),
        }
    }
}

impl Default for Places {
    /// Creates a number that grows from [`limits::WINDOW`] up to [`limits::WINDOW_MOST`].
    fn default() -> Self {
        Self {
            first: limits::WINDOW,
            most: limits::WINDOW_MOST,
        }
    }
}

/// Places for the hosts in progress.
#[derive(Debug)]
pub struct Window {
    places: usize,
    /// Upper bound of their number.
    most: usize,
    /// Maximum number of hosts that hold a place and have not answered.
    first_contacts: usize,
    hosts: HashMap<u32, Phase>,
    /// Hosts that wait for their first answer, in the order of their beginnings. The first one does wait; others may have
    /// answered or ended since.
    waiting: VecDeque<(Instant, u32)>,
    /// Number of hosts in each phase.
    counts: [usize; 3],
    /// Time as it was last given.
    now: Instant,
    /// Mean time in which hosts have answered, if one has.
    answer_time: Option<Duration>,
}

/// Phase of a host in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It has a place and has not answered since its beginning.
    Waiting(Instant),
    /// It has lost its place and has not answered since its beginning.
    Overdue(Instant),
    /// It has answered and holds a place.
    Answered,
}

impl Window {
    /// Creates a window without hosts.
    #[must_use]
    pub fn new(places: Places) -> Self {
        let Places { first, most } = places;
        Self {
            places: first,
            most,
            first_contacts: most,
            hosts: HashMap::new(),
            waiting: VecDeque::new(),
            counts: [0; 3],
            now: Instant::ZERO,
            answer_time: None,
        }
    }

    /// Limits the hosts that hold a place and have not answered to `first_contacts`, at least one: their answers may
    /// arrive together.
    #[must_use]
    pub fn with_first_contacts(mut self, first_contacts: usize) -> Self {
        self.first_contacts = first_contacts.max(1);
        self
    }

    /// Returns true if a host may be begun.
    pub fn has_room(&mut self, now: Instant) -> bool {
        self.now = self.now.max(now);
        self.expire();
        let [waiting, overdue, answered] = self.counts;
        waiting + answered < self.places
            && waiting < self.first_contacts
            && overdue < limits::OVERDUE
    }

    /// A host has begun.
    pub fn begin(&mut self, now: Instant, slot: u32) {
        self.now = self.now.max(now);
        self.set(slot, Some(Phase::Waiting(self.now)));
        self.waiting.push_back((self.now, slot));
    }

    /// A host has answered. Harmless if it has answered before or is not in progress.
    pub fn answered(&mut self, slot: u32) {
        if let Some(&(Phase::Waiting(begun) | Phase::Overdue(begun))) = self.hosts.get(&slot) {
            let sample = self.now.since(begun);
            let mean = self.answer_time.unwrap_or(sample);
            self.answer_time = Some((mean * 7 + sample) / 8);
            self.set(slot, Some(Phase::Answered));
            self.trim();
            self.grow();
        }
    }

    /// Adds a place if most of them are held by hosts that have answered: one with each answer, so that no more hosts are
    /// asked at a time than before.
    fn grow(&mut self) {
        let [_, _, answered] = self.counts;
        if 2 * answered > self.places && self.places < self.most {
            self.places += 1;
        }
    }

    /// A host has ended. Harmless if it is not in progress.
    pub fn ended(&mut self, slot: u32) {
        self.set(slot, None);
        self.trim();
    }

    /// Returns the time at which the next host loses its place. Of interest while there is no room and hosts are left to
    /// begin.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let begun = self.waiting.front().map(|&(begun, _)| begun);
        begun.map(|begun| begun + self.time_to_answer())
    }

    /// Returns the number of hosts in progress.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.hosts.len()
    }

    /// Returns the time for which a host that does not answer holds its place.
    fn time_to_answer(&self) -> Duration {
        self.answer_time.map_or(limits::ANSWER_TIME, |mean| {
            let time = mean.saturating_mul(limits::ANSWER_TIMES);
            time.clamp(limits::ANSWER_TIME_MIN, limits::ANSWER_TIME_MAX)
        })
    }

    fn expire(&mut self) {
        let time = self.time_to_answer();
        while let Some(&(begun, slot)) = self.waiting.front()
            && begun + time <= self.now
        {
            self.set(slot, Some(Phase::Overdue(begun)));
            self.trim();
        }
    }

    /// Removes hosts that do not wait any more from the front.
    fn trim(&mut self) {
        while let Some(&(begun, slot)) = self.waiting.front()
            && self.hosts.get(&slot) != Some(&Phase::Waiting(begun))
        {
            self.waiting.pop_front();
        }
    }

    fn set(&mut self, slot: u32, phase: Option<Phase>) {
        let earlier = match phase {
            Some(phase) => self.hosts.insert(slot, phase),
            None => self.hosts.remove(&slot),
        };
        if let Some(phase) = earlier {
            self.counts[phase.index()] -= 1;
        }
        if let Some(phase) = phase {
            self.counts[phase.index()] += 1;
        }
    }
}

impl Phase {
    /// Returns the index of its count.
    const fn index(self) -> usize {
        match self {
            Self::Waiting(_) => 0,
            Self::Overdue(_) => 1,
            Self::Answered => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Instant = Instant::ZERO;

    /// Begins hosts from `slot` on while there is room, and returns the next slot.
    fn fill(window: &mut Window, now: Instant, mut slot: u32) -> u32 {
        while window.has_room(now) {
            window.begin(now, slot);
            slot += 1;
        }
        slot
    }

    #[test]
    fn the_next_host_begins_when_one_ends() {
        let mut window = Window::new(Places::fixed(4));
        assert_eq!(fill(&mut window, START, 0), 4);
        window.answered(2);
        assert!(!window.has_room(START));
        window.ended(2);
        assert_eq!(fill(&mut window, START, 4), 5);
        assert_eq!(window.in_progress(), 4);
    }

    #[test]
    fn a_host_that_does_not_answer_loses_its_place_and_is_still_in_progress() {
        let mut window = Window::new(Places::fixed(2));
        fill(&mut window, START, 0);
        let end = window.next_deadline().unwrap();
        assert_eq!(end, START + limits::ANSWER_TIME);
        window.has_room(end - Duration::from_micros(1));
        window.answered(1);
        // The other one took its time, so this one gets more.
        assert!(!window.has_room(end));
        let end = START + 4 * (end - Duration::from_micros(1)).since(START);
        assert_eq!(window.next_deadline(), Some(end));
        assert!(!window.has_room(end - Duration::from_micros(1)));
        assert_eq!(fill(&mut window, end, 2), 3);
        assert_eq!(window.in_progress(), 3);
        // It needs a place when it answers after all, which is one too many.
        window.answered(0);
        window.ended(1);
        assert!(!window.has_room(end));
        window.ended(0);
        assert!(window.has_room(end));
    }

    #[test]
    fn hosts_have_less_time_to_answer_where_others_answer_fast() {
        let mut window = Window::new(Places::fixed(3));
        let after = |micros| START + Duration::from_millis(micros);
        fill(&mut window, START, 0);
        assert!(!window.has_room(after(70)));
        window.answered(0);
        assert_eq!(window.next_deadline(), Some(after(4 * 70)));
        assert!(!window.has_room(after(4 * 70 - 1)) && window.has_room(after(4 * 70)));
        // Both are overdue now. A late answer gives the next ones more time, up to the bound.
        window.has_room(after(20_000));
        window.answered(1);
        window.begin(after(20_000), 3);
        assert_eq!(window.next_deadline(), Some(after(25_000)));
    }

    #[test]
    fn a_host_that_has_answered_keeps_its_place_however_long_it_takes() {
        let mut window = Window::new(Places::fixed(1));
        window.begin(START, 7);
        window.answered(7);
        assert_eq!(window.next_deadline(), None);
        assert!(!window.has_room(START + 1000 * limits::ANSWER_TIME));
    }

    #[test]
    fn the_hosts_whose_answers_may_arrive_together_are_limited() {
        let mut window = Window::new(Places::fixed(8)).with_first_contacts(3);
        assert_eq!(fill(&mut window, START, 0), 3);
        window.answered(0);
        window.answered(0);
        assert_eq!(fill(&mut window, START, 3), 4);
    }

    #[test]
    fn the_hosts_that_do_not_answer_are_bounded() {
        let mut window = Window::new(Places::fixed(256));
        let (mut now, mut slot) = (START, 0);
        for _ in 0..100 {
            slot = fill(&mut window, now, slot);
            now += limits::ANSWER_TIME;
        }
        assert_eq!(window.in_progress(), limits::OVERDUE);
        window.ended(0);
        assert!(window.has_room(now));
    }

    #[test]
    fn a_window_without_places_lets_one_host_begin_at_a_time() {
        let mut window = Window::new(Places::fixed(0)).with_first_contacts(0);
        assert_eq!(fill(&mut window, START, 0), 1);
    }

    #[test]
    fn the_places_grow_where_running_commands_hold_them_and_not_with_silent_or_short_ones() {
        let mut window = Window::new(Places::default());
        // Commands that end at once.
        for slot in 0..1000 {
            window.begin(START, slot);
            window.answered(slot);
            window.ended(slot);
        }
        let mut begun = fill(&mut window, START, 1000);
        assert_eq!(begun, 1000 + 256);
        // Commands that run.
        let mut answered = 1000;
        let mut widths = Vec::new();
        while window.in_progress() < limits::WINDOW_MOST {
            for slot in answered..begun {
                window.answered(slot);
            }
            answered = begun;
            begun = fill(&mut window, START, begun);
            assert!(begun > answered, "it is full at {widths:?}");
            widths.push(window.in_progress());
        }
        assert_eq!(widths, [384, 512, 640, 768, 896, 1024]);
        (answered..begun).for_each(|slot| window.answered(slot));
        assert!(!window.has_room(START));
        // The number that the user names stays.
        let mut window = Window::new(Places::fixed(8));
        fill(&mut window, START, 0);
        (0..8).for_each(|slot| window.answered(slot));
        assert!(!window.has_room(START));
    }

    proptest! {
        /// Each step: a host, what happens to it, and the time that passes.
        #[test]
        fn any_order_of_events_keeps_the_counts(steps: Vec<(u8, u8, u16)>) {
            let mut window = Window::new(Places::fixed(5));
            let mut now = START;
            for (slot, event, pause) in steps {
                now += Duration::from_millis(pause.into());
                let slot = u32::from(slot);
                match event % 3 {
                    0 if window.has_room(now) && !window.hosts.contains_key(&slot) => window.begin(now, slot),
                    0 | 1 => window.answered(slot),
                    _ => window.ended(slot),
                }
                for (index, &count) in window.counts.iter().enumerate() {
                    let counted = window.hosts.values().filter(|phase| phase.index() == index);
                    prop_assert_eq!(count, counted.count());
                }
                prop_assert_eq!(window.next_deadline().is_some(), window.counts[0] > 0);
                prop_assert!(window.counts[0] <= 5);
            }
        }
    }
}
