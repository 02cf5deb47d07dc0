//! Requests of a batch from the line until they begin, and the lines that are held for them.
//!
//! Sans-IO: decides whether a line may be read, and whose name is looked up. Not which request begins next, which [`Ready`]
//! decides, nor how many are in progress at a time, which is the
//! [`Window`](crate::control::window::Window)'s. Invariants: a request whose name is
//! being looked up delays no other; the lines that are held and the requests that wait are bounded; after a stop no
//! request begins, and each that has not begun is handed out once more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::ready::{Found, Pending, Ready};
use super::{Member, Request};
use crate::control::host_resolver::Host;
use crate::control::limits;
use crate::time::Instant;

/// Line whose targets have not all been taken.
struct Rest {
    line: u64,
    tag: Option<Value>,
    request: Arc<Request>,
    members: std::vec::IntoIter<Member>,
}

/// Line with requests that have not ended.
struct Held {
    size: usize,
    requests: usize,
}

/// State of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Open,
    Ended,
    Stopped,
}

/// Requests of a batch that have not begun.
pub(super) struct Intake {
    input: Input,
    rest: Option<Rest>,
    /// Number of the requests that were taken.
    taken: usize,
    /// Requests whose names are being looked up, by the number of the lookup.
    looked_up: HashMap<usize, Pending>,
    next_lookup: usize,
    ready: Ready,
    /// Lines with requests that have not ended, by number.
    held: HashMap<u64, Held>,
    /// Sum of their lengths in bytes.
    held_bytes: usize,
}

impl Intake {
    /// Creates an intake whose input is open.
    pub(super) fn new() -> Self {
        Self {
            input: Input::Open,
            rest: None,
            taken: 0,
            looked_up: HashMap::new(),
            next_lookup: 0,
            ready: Ready::new(),
            held: HashMap::new(),
            held_bytes: 0,
        }
    }

    /// Returns true if the next line may be read.
    pub(super) fn wants_line(&self) -> bool {
        self.input == Input::Open
            && self.rest.is_none()
            && self.waiting() < limits::BATCH_WAITING
            && self.held_bytes < limits::BATCH_HELD
    }

    /// Takes a line, which has at least one target. Only one that was wanted may be passed.
    pub(super) fn take(
        &mut self,
        line: u64,
        tag: Option<Value>,
        request: Request,
        members: Vec<Member>,
    ) {
        debug_assert!(self.rest.is_none() && !members.is_empty());
        let held = Held {
            size: request.size,
            requests: members.len(),
        };
        self.held_bytes += held.size;
        self.held.insert(line, held);
        self.rest = Some(Rest {
            line,
            tag,
            request: Arc::new(request),
            members: members.into_iter(),
        });
    }

    /// Returns the next request whose host has to be found.
    pub(super) fn next(&mut self) -> Option<Pending> {
        if self.input == Input::Stopped || self.waiting() >= limits::BATCH_WAITING {
            return None;
        }
        self.next_member()
    }

    fn next_member(&mut self) -> Option<Pending> {
        let rest = self.rest.as_mut()?;
        let pending = rest.members.next().map(|member| Pending {
            line: rest.line,
            rank: self.taken,
            tag: rest.tag.clone(),
            request: Arc::clone(&rest.request),
            member,
        });
        self.taken += 1;
        if rest.members.len() == 0 {
            self.rest = None;
        }
        pending
    }

    /// Keeps a request while its name is looked up. Returns the number of the lookup.
    pub(super) fn look_up(&mut self, pending: Pending) -> usize {
        let index = self.next_lookup;
        self.next_lookup += 1;
        self.looked_up.insert(index, pending);
        index
    }

    /// Returns the request of a lookup that has ended, unless it was handed out.
    pub(super) fn looked_up(&mut self, index: usize) -> Option<Pending> {
        self.looked_up.remove(&index)
    }

    /// Takes a request whose host was found or cannot be contacted.
    pub(super) fn ready(&mut self, pending: Pending, found: Found) {
        self.ready.push(pending, found);
    }

    /// Returns the time at which a request may begin, if one is left to begin; one in the past if it may already.
    pub(super) fn next_begin(&self) -> Option<Instant> {
        let is_stopped = self.input == Input::Stopped;
        self.ready.next_begin().filter(|_| !is_stopped)
    }

    /// Returns the next request that may begin, which thereby does.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Pending, Found)> {
        if self.input == Input::Stopped {
            return None;
        }
        self.ready.begin(now)
    }

    /// Notes that a request that has begun was answered in this time, or has ended without.
    pub(super) fn on_answer(&mut self, pending: &Pending, host: &Host, time: Option<Duration>) {
        self.ready
            .on_answer(host.paths[0].remote, pending.rank, time);
    }

    /// Notes that a request has ended, or will not begin.
    pub(super) fn ended(&mut self, line: u64) {
        if let Some(held) = self.held.get_mut(&line) {
            held.requests -= 1;
            if held.requests == 0 {
                self.held_bytes -= held.size;
                self.held.remove(&line);
            }
        }
    }

    /// Notes the end of the input.
    pub(super) fn end(&mut self) {
        if self.input == Input::Open {
            self.input = Input::Ended;
        }
    }

    /// Reads nothing further and begins no request.
    pub(super) const fn stop(&mut self) {
        self.input = Input::Stopped;
    }

    /// Returns a request that will not begin after a stop.
    pub(super) fn skip(&mut self) -> Option<Pending> {
        if self.input != Input::Stopped {
            return None;
        }
        if let Some((pending, _)) = self.ready.skip() {
            return Some(pending);
        }
        let first = self.looked_up.keys().next().copied();
        match first {
            Some(index) => self.looked_up.remove(&index),
            None => self.next_member(),
        }
    }

    /// Returns true if no request is left that has not ended, and none will come.
    pub(super) fn is_done(&self) -> bool {
        self.input != Input::Open && self.held.is_empty()
    }

    fn waiting(&self) -> usize {
        self.looked_up.len() + self.ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::host_resolver::HostError;
    use crate::message::{Exec, RequestId};

    fn request(size: usize) -> Request {
        Request {
            exec: Exec::new(RequestId([0; 16]), vec!["true".into()]),
            stdin: bytes::Bytes::new(),
            size,
        }
    }

    fn members(count: usize) -> Vec<Member> {
        let member = |number| Member {
            target: format!("web{number}:7000").parse().unwrap(),
            id: RequestId([1; 16]),
            user: None,
        };
        (0..count).map(member).collect()
    }

    fn found() -> Found {
        Err(HostError::NoResolver)
    }

    #[test]
    fn a_name_that_takes_long_to_look_up_delays_no_other_line() {
        let mut intake = Intake::new();
        intake.take(1, None, request(10), members(1));
        let slow = intake.next().unwrap();
        let slow = intake.look_up(slow);
        assert!(intake.wants_line() && intake.next_begin().is_none());
        intake.take(2, None, request(10), members(1));
        let fast = intake.next().unwrap();
        intake.ready(fast, found());
        assert_eq!(intake.begin(Instant::ZERO).unwrap().0.line, 2);
        intake.ended(2);
        intake.end();
        assert!(!intake.is_done());
        let slow = intake.looked_up(slow).unwrap();
        intake.ready(slow, found());
        assert_eq!(intake.begin(Instant::ZERO).unwrap().0.line, 1);
        intake.ended(1);
        assert!(intake.is_done());
    }

    #[test]
    fn a_set_is_one_request_for_each_member_and_is_held_until_the_last_has_ended() {
        let mut intake = Intake::new();
        intake.take(1, Some(7.into()), request(limits::BATCH_HELD), members(3));
        assert!(!intake.wants_line(), "its targets are not taken yet");
        let mut names = Vec::new();
        while let Some(pending) = intake.next() {
            assert_eq!((pending.line, &pending.tag), (1, &Some(7.into())));
            assert_eq!(pending.rank, names.len());
            names.push(pending.member.target.label().to_owned());
            intake.ready(pending, found());
        }
        assert_eq!(names, ["web0:7000", "web1:7000", "web2:7000"]);
        for _ in 0..3 {
            assert!(!intake.wants_line(), "the line is held");
            assert!(intake.begin(Instant::ZERO).is_some());
            intake.ended(1);
        }
        assert!(intake.wants_line() && !intake.is_done());
    }

    #[test]
    fn the_requests_that_wait_are_bounded() {
        let mut intake = Intake::new();
        let most = limits::BATCH_WAITING;
        intake.take(1, None, request(1), members(most + 1));
        let mut waiting = 0;
        while let Some(pending) = intake.next() {
            intake.ready(pending, found());
            waiting += 1;
        }
        assert_eq!(waiting, most);
        assert!(intake.begin(Instant::ZERO).is_some());
        assert!(intake.next().is_some());
    }

    #[test]
    fn after_a_stop_every_request_that_has_not_begun_is_handed_out_and_none_begins() {
        let mut intake = Intake::new();
        intake.take(1, None, request(1), members(2));
        let running = intake.next().unwrap();
        intake.ready(running, found());
        assert!(intake.begin(Instant::ZERO).is_some());
        let waiting = intake.next().unwrap();
        intake.ready(waiting, found());
        intake.take(2, None, request(1), members(3));
        let slow = intake.next().unwrap();
        let slow = intake.look_up(slow);
        assert!(intake.skip().is_none());
        intake.stop();
        assert!(!intake.wants_line() && intake.next().is_none());
        assert!(intake.begin(Instant::ZERO).is_none() && intake.next_begin().is_none());
        let mut lines = Vec::new();
        while let Some(pending) = intake.skip() {
            lines.push(pending.line);
            intake.ended(pending.line);
        }
        assert_eq!(lines, [1, 2, 2, 2]);
        assert!(intake.looked_up(slow).is_none());
        assert!(!intake.is_done(), "one is in progress");
        intake.ended(1);
        assert!(intake.is_done());
    }
}
