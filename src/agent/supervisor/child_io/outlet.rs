//! The reading end of an output.
//!
//! The poll reports each write of the process. A process that writes often in small pieces would cause a wake-up, a read
//! and a report for each of them, so a pipe that is read again within [`PAUSE`] is polled by the clock instead, as
//! network drivers do with a busy card: it is read every [`PAUSE`] until nothing was written in one. Invariant: a pipe
//! that is not registered with the poll is queued, paused, or without free space in its ring.

use std::io;

use super::splice::grow;
use mio::{Interest, Registry, Token};

use crate::agent::ipc::Extent;
use crate::agent::ipc::limits::{FIRST_EXTENT, OUTPUT_RING};
use crate::agent::limits::{LANE, LANE_AT_EXIT, MAX_LANE, READ_AHEAD};
use crate::agent::supervisor::limits::{PAUSE, READ, WORTH_READING};
use crate::agent::supervisor::readiness::State;
use crate::process::Pipe;
use crate::time::Instant;

/// The reading end of an output.
pub struct Outlet {
    pub(super) pipe: Option<Pipe>,
    pub(super) state: State,
    /// Token of the pipe, if it was registered with the poll.
    pub(super) token: Option<Token>,
    /// True if it is polled by the clock.
    polled: bool,
    /// Time of the last read that found bytes.
    last_read: Option<Instant>,
    /// Bytes read so far.
    pub end: u64,
    /// Offset below which nothing is needed any more.
    pub released: u64,
    /// Part of the ring that is in use.
    pub extent: Extent,
    /// Bytes that its controller lets be sent beyond those that it has consumed.
    window: u64,
    /// True if it was closed on request.
    pub shut: bool,
    /// Bytes that may be held now.
    lane: u64,
    /// Bytes that may be held since the end of the leader: [`LANE_AT_EXIT`] more than then.
    pub(super) at_exit: Option<u64>,
    /// True if the pipe was made larger.
    grown: bool,
}

impl Outlet {
    pub(super) const fn new(pipe: Option<Pipe>) -> Self {
        Self {
            pipe,
            state: State::Ready { queued: false },
            token: None,
            polled: false,
            last_read: None,
            end: 0,
            released: 0,
            extent: Extent {
                base: 0,
                size: FIRST_EXTENT,
            },
            window: LANE,
            shut: false,
            lane: LANE + READ_AHEAD,
            at_exit: None,
            grown: false,
        }
    }

    /// Number of bytes that are held.
    pub(super) const fn held(&self) -> u64 {
        self.end - self.released
    }

    /// Number of bytes that may be read now. The last [`LANE_AT_EXIT`] of the part of the ring are free until the leader
    /// has ended: what a pipe has then fits in, wherever the held bytes are and however slowly they are released.
    pub(super) fn room(&self) -> u64 {
        let before = || self.lane.min(self.extent.size.saturating_sub(LANE_AT_EXIT));
        let most = self.at_exit.unwrap_or_else(before).min(self.extent.size);
        most.saturating_sub(self.held())
    }

    /// True if a read is worth a system call. Once the leader has ended, nothing of what the pipe has may be left.
    pub(super) fn is_worth_reading(&self) -> bool {
        let least = self.at_exit.map_or(WORTH_READING, |_| 1);
        self.room() >= least
    }

    /// Sets the window of its stream.
    pub(super) fn set_window(&mut self, bytes: u64) {
        self.window = bytes.clamp(LANE, MAX_LANE);
    }

    /// Sets the number of bytes that may be held: `most`, or what the window of its stream needs.
    pub(super) fn set_lane(&mut self, most: Option<u64>) {
        self.lane = most.unwrap_or(self.window + READ_AHEAD);
        self.enlarge();
    }

    /// Allows more bytes to be held, because the leader has ended.
    pub(super) fn on_exit(&mut self) {
        self.at_exit = Some(self.lane.max(self.held()) + LANE_AT_EXIT);
    }

    fn enlarge(&mut self) {
        let size = (self.lane + LANE_AT_EXIT).clamp(FIRST_EXTENT, OUTPUT_RING);
        self.extent.enlarge(size, self.released, self.end);
    }

    /// Releases the bytes below an offset.
    pub(super) fn release(&mut self, offset: u64) {
        self.released = self.released.max(offset.min(self.end));
        if self.released == self.end {
            self.extent.base = self.end;
        }
    }

    /// Registers its pipe with the poll.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.token = Some(token);
        match &mut self.pipe {
            Some(pipe) => registry.register(pipe, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// Processes a read of some bytes. One as large as a pipe shows a program with much output. A short one has emptied
    /// the pipe: if the one before is recent, the next follows after a pause.
    pub(super) fn on_bytes(&mut self, now: Instant, length: usize, registry: &Registry) {
        if length >= READ
            && !self.grown
            && let Some(pipe) = &self.pipe
        {
            grow(pipe);
            self.grown = true;
        }
        let before = self.last_read.replace(now);
        let is_recent = before.is_some_and(|before| now < before + PAUSE);
        let is_short = (length as u64) < WORTH_READING;
        if is_short && (self.polled || is_recent) && self.poll_by_clock(registry) {
            self.state = State::Paused;
        }
    }

    /// Processes a read that found nothing. The next one follows when the poll reports bytes.
    pub(super) fn on_empty(&mut self, registry: &Registry) {
        self.state = State::Blocked;
        if !self.polled {
            return;
        }
        let (Some(pipe), Some(token)) = (&mut self.pipe, self.token) else {
            return;
        };
        // Reports what was written since the read.
        match registry.register(pipe, token, Interest::READABLE) {
            Ok(()) => self.polled = false,
            // No memory: the clock serves as well.
            Err(_) => self.state = State::Paused,
        }
    }

    /// Removes the pipe from the poll. Returns true if it is polled by the clock.
    fn poll_by_clock(&mut self, registry: &Registry) -> bool {
        if !self.polled
            && self.token.is_some()
            && let Some(pipe) = &mut self.pipe
        {
            self.polled = registry.deregister(pipe).is_ok();
        }
        self.polled
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::agent::limits::LANE_BEYOND;

    const NOW: Instant = Instant::ZERO;
    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    fn outlet(poll: &Poll) -> (Outlet, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut outlet = Outlet::new(Some(Pipe::adopt(reader.into()).unwrap()));
        outlet.register(poll.registry(), Token(1)).unwrap();
        (outlet, writer)
    }

    fn is_reported(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, AT_ONCE).unwrap();
        !events.is_empty()
    }

    #[test]
    fn an_output_that_is_written_often_is_read_by_the_clock_until_it_is_empty() {
        let mut poll = Poll::new().unwrap();
        let (mut outlet, mut writer) = outlet(&poll);
        outlet.on_bytes(NOW, 1, poll.registry());
        assert_eq!(outlet.state, State::Ready { queued: false }, "a single one");
        outlet.on_bytes(NOW + PAUSE, 1, poll.registry());
        assert_eq!(outlet.state, State::Ready { queued: false }, "a rare one");
        outlet.on_bytes(NOW + PAUSE + PAUSE / 2, 1, poll.registry());
        assert_eq!(outlet.state, State::Paused);
        writer.write_all(b"x").unwrap();
        assert!(!is_reported(&mut poll), "by the clock, not by the poll");
        outlet.state.wake();
        outlet.on_bytes(NOW + PAUSE * 100, 1, poll.registry());
        assert_eq!(outlet.state, State::Paused, "until it is empty");
        outlet.state.wake();
        outlet.on_empty(poll.registry());
        assert_eq!(outlet.state, State::Blocked);
        assert!(is_reported(&mut poll), "also what was written before");
    }

    #[test]
    fn what_a_pipe_has_at_the_end_of_the_leader_fits_in_wherever_the_held_bytes_are() {
        let poll = Poll::new().unwrap();
        for most in [None, Some(LANE_BEYOND)] {
            let (mut outlet, _writer) = outlet(&poll);
            outlet.set_window(MAX_LANE / 2);
            outlet.set_lane(None);
            // Held bytes wrap, and the reader releases no more of them.
            outlet.end = outlet.extent.size - 1000;
            outlet.release(outlet.end - 1000);
            outlet.end += outlet.room();
            assert_eq!(outlet.room(), 0);
            // The window grows, and the part of the ring cannot.
            outlet.set_window(MAX_LANE);
            outlet.set_lane(None);
            outlet.end += outlet.room();
            outlet.set_lane(most);
            outlet.on_exit();
            outlet.set_lane(most);
            assert_eq!(outlet.room(), LANE_AT_EXIT);
            outlet.end += LANE_AT_EXIT - 1;
            assert!(outlet.is_worth_reading(), "the last byte");
            outlet.end += 1;
            assert!(!outlet.is_worth_reading());
            assert!(outlet.held() <= outlet.extent.size);
        }
    }

    #[test]
    fn large_reads_follow_each_other_at_once() {
        let poll = Poll::new().unwrap();
        let (mut outlet, _writer) = outlet(&poll);
        for _ in 0..3 {
            outlet.on_bytes(NOW, READ, poll.registry());
            assert_eq!(outlet.state, State::Ready { queued: false });
        }
    }
}
