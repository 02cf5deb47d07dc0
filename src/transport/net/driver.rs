//! The network thread: moves datagrams between the carriers and the session machine, commands in and events out.
//!
//! Each iteration of its loop does a bounded amount of each kind of work, so that none starves the others. If
//! work is left over the next iteration follows at once; otherwise the thread sleeps until a carrier, a
//! command or the machine's next deadline wakes it. Invariants: it blocks nowhere else, except for a moment while
//! datagrams arrive in bulk ([`Moderation`]); an idle thread is never woken; it receives for all however slowly the
//! application takes events, because those that it has not taken wait in their sessions, each within its windows.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use mio::{Poll, Token};

use super::bound_carrier::BoundCarrier;
use super::carrier::{Carrier, Inbox, Outgoing, Sent};
use super::clock::Clock;
use super::command::Command;
use super::counts::Counts;
use super::demux::demux;
use super::event::Event;
use super::event_queue::EventQueue;
use super::limits;
use super::moderation::Moderation;
use super::plain::{Plain, PlainSink};
use super::shared::Shared;
use super::timer::Timer;
use crate::rng::Rng;
use crate::session::{self, Endpoint, Path, Transmit};
use crate::wire;

/// Carriers have the tokens from 0, and `shared` has the largest.
const TIMER: Token = Token(usize::MAX - 1);

/// Continuation of the loop after an iteration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Work is left over: go on at once.
    Continue,
    /// Nothing to do: sleep.
    Sleep,
    /// End the thread.
    End,
}

/// State of the network thread.
pub(super) struct Driver {
    poll: Poll,
    carriers: Vec<BoundCarrier>,
    endpoint: Endpoint,
    timer: Timer,
    commands: Receiver<Command>,
    event_queue: EventQueue,
    plain: Plain,
    shared: Arc<Shared>,
    inbox: Inbox,
    pub(super) moderation: Moderation,
    /// The transmit whose datagrams stand in `buffer`.
    outgoing: Option<Outgoing>,
    buffer: Vec<u8>,
    /// Counters of the carriers; the others are elsewhere.
    counts: Counts,
}

impl Driver {
    pub(super) fn new(
        poll: Poll,
        carriers: Vec<Box<dyn Carrier>>,
        (config, rng): (session::Config, Rng),
        commands: Receiver<Command>,
        event_queue: EventQueue,
        plain: Option<Box<dyn PlainSink>>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let carriers: Vec<_> = (0..)
            .zip(carriers)
            .map(|(number, carrier)| BoundCarrier::register(carrier, number, poll.registry()))
            .collect::<io::Result<_>>()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let buffers = carriers.iter().map(|bound| bound.carrier.receive_buffer());
        let buffer = buffers.min().unwrap_or_default() as u64;
        Ok(Self {
            poll,
            carriers,
            endpoint: Endpoint::new(config, rng, Clock.now()),
            timer,
            commands,
            event_queue,
            plain: Plain::new(plain),
            shared,
            inbox: Inbox::new(),
            moderation: Moderation::new(Clock.now(), buffer),
            outgoing: None,
            buffer: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// Runs the loop until [`Command::Shutdown`] or until the last handle is dropped.
    pub(super) fn run(mut self) {
        let mut ready = mio::Events::with_capacity(16);
        loop {
            match self.iterate() {
                Next::End => break,
                Next::Continue => self.poll_ready(&mut ready, Some(Duration::ZERO)),
                Next::Sleep => self.sleep(&mut ready),
            }
        }
        self.send_remaining();
    }

    pub(super) fn iterate(&mut self) -> Next {
        let mut more = false;
        for number in 0..self.carriers.len() {
            more |= self.receive(number);
        }
        let next = self.take_commands();
        let now = Clock.now();
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        more |= self.transmit(limits::TRANSMITS_PER_ITERATION);
        if self.event_queue.has_room()
            && let Some(datagrams) = self.plain.due(now)
        {
            self.event_queue.push(Event::Suppressed { datagrams });
        }
        for bound in &mut self.carriers {
            bound.report_refusals(&mut self.event_queue);
        }
        let endpoint = &mut self.endpoint;
        let moved = self
            .event_queue
            .flush(&self.shared, || endpoint.poll_event().map(Event::Session));
        if moved {
            // Taking events may have freed credit, or a session that is over.
            more |= self.transmit(limits::TRANSMITS_PER_ITERATION);
        }
        if next == Next::Sleep && more {
            Next::Continue
        } else {
            next
        }
    }

    /// Sleeps until there is something to do.
    fn sleep(&mut self, ready: &mut mio::Events) {
        // Without room, the first event that is taken wakes the thread.
        let plain = self.plain.deadline();
        let plain = plain.filter(|_| self.event_queue.has_room());
        let deadlines = [self.endpoint.poll_timeout(), plain];
        let deadline = deadlines.into_iter().flatten().min();
        let now = Clock.now();
        if let Some(pause) = self.moderation.pause(now) {
            let until_due = deadline.map_or(pause, |at| at.since(now));
            std::thread::sleep(pause.min(until_due));
        }
        let mut timeout = None;
        if deadline.is_some_and(|at| at <= now) {
            timeout = Some(Duration::ZERO);
        } else if self.timer.set(now, deadline).is_err() {
            // Without the timer the poll's own, coarser timeout serves.
            timeout = deadline.map(|at| at.since(now));
        }
        self.shared.fall_asleep();
        if !self.commands.is_empty() || self.shared.is_abandoned() {
            timeout = Some(Duration::ZERO);
        }
        self.poll_ready(ready, timeout);
        self.shared.awake();
    }

    /// Waits for readiness and records it.
    fn poll_ready(&mut self, ready: &mut mio::Events, timeout: Option<Duration>) {
        match self.poll.poll(ready, timeout) {
            Ok(()) => {}
            // Interrupted by a signal: nothing is lost, the next call reports it.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => fail("cannot wait for datagrams", &error),
        }
        for event in ready.iter() {
            if let Some(bound) = self.carriers.get_mut(event.token().0) {
                bound.readable |= event.is_readable() || event.is_error();
                if bound.blocked && (event.is_writable() || event.is_error()) {
                    bound.set_blocked(self.poll.registry(), false);
                }
            }
        }
    }

    /// Receives a bounded number of batches. Returns true if the carrier may hold more.
    fn receive(&mut self, number: usize) -> bool {
        let Some(bound) = self.carriers.get_mut(number) else {
            return false;
        };
        for _ in 0..limits::RECEIVES_PER_ITERATION {
            if !bound.readable {
                return false;
            }
            match bound.carrier.receive(&mut self.inbox) {
                Ok(count) => {
                    bound.errors = 0;
                    // After a short batch it is empty, and the next datagram is a new edge.
                    bound.readable = count == limits::RECEIVE_BATCH;
                    let now = Clock.now();
                    for received in self.inbox.received(count) {
                        self.moderation.on_received(received.meta.length);
                        demux(
                            now,
                            bound.number,
                            received,
                            &mut self.endpoint,
                            &mut self.plain,
                            &mut self.event_queue,
                            &mut self.counts,
                        );
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    bound.readable = false;
                    return false;
                }
                Err(error) => {
                    bound.errors += 1;
                    if bound.errors >= limits::RECEIVE_ERRORS {
                        bound.readable = false;
                        bound.failed = true;
                        let _ = bound.carrier.deregister(self.poll.registry());
                        let address = bound.carrier.local_addr();
                        if self.carriers.iter().all(|bound| bound.failed) {
                            fail(&format!("the last socket has failed, {address}"), &error);
                        }
                        self.event_queue.push(Event::Failed {
                            address,
                            error: error.to_string(),
                        });
                        return false;
                    }
                }
            }
        }
        true
    }

    fn take_commands(&mut self) -> Next {
        let now = Clock.now();
        for _ in 0..limits::COMMANDS_PER_ITERATION {
            match self.commands.try_recv() {
                Ok(Command::Session(command)) => self.endpoint.apply(now, command),
                Ok(Command::Plain { path, text }) => self.send_plain(path, &text),
                Ok(Command::Count(number)) => {
                    let counts = Box::new(self.counts());
                    self.event_queue.push(Event::Counted { number, counts });
                }
                Ok(Command::Shutdown) | Err(TryRecvError::Disconnected) => return Next::End,
                Err(TryRecvError::Empty) => return Next::Sleep,
            }
        }
        Next::Continue
    }

    fn counts(&self) -> Counts {
        Counts {
            session: self.endpoint.stats(),
            unsent: self.shared.unsent(),
            plain: self.plain.counts(),
            ..self.counts
        }
    }

    /// Sends a bare datagram now, or counts it as unsent: no one relies on its arrival.
    fn send_plain(&mut self, path: Path, text: &[u8]) {
        self.flush_outgoing();
        let sendable = !text.is_empty() && !text.starts_with(&wire::TAG);
        if self.outgoing.is_some() || !sendable {
            self.shared.count_unsent(1);
            return;
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(text);
        self.begin(Transmit::single(path));
    }

    /// Sends what the machine has, at most `at_most` transmits. Returns true if there may be more to send.
    fn transmit(&mut self, at_most: usize) -> bool {
        for _ in 0..at_most {
            self.flush_outgoing();
            if self.outgoing.is_some() {
                // Blocked: the carrier's readiness causes the next iteration.
                return false;
            }
            let Some(transmit) = self.endpoint.poll_transmit(Clock.now(), &mut self.buffer) else {
                return false;
            };
            self.begin(transmit);
        }
        true
    }

    fn begin(&mut self, transmit: Transmit) {
        let length = self.buffer.len();
        let datagrams = transmit
            .segment
            .map_or(1, |segment| length.div_ceil(segment));
        self.counts.sent += datagrams as u64;
        self.counts.sent_bytes += length as u64;
        self.outgoing = Some(Outgoing { transmit, done: 0 });
        self.flush_outgoing();
    }

    fn flush_outgoing(&mut self) {
        let Some(outgoing) = &mut self.outgoing else {
            return;
        };
        let number = usize::from(outgoing.transmit.path.socket);
        let carrier = self.carriers.get_mut(number);
        let Some(bound) = carrier.filter(|bound| !bound.failed) else {
            self.shared.count_unsent(1);
            self.endpoint.handle_unsent(Clock.now(), &self.buffer);
            self.outgoing = None;
            return;
        };
        if bound.blocked {
            return;
        }
        match bound.carrier.send(outgoing, &self.buffer) {
            Sent::Whole { lost, too_large } => {
                let Transmit {
                    session, segment, ..
                } = outgoing.transmit;
                self.outgoing = None;
                let size = segment.unwrap_or(self.buffer.len());
                let was_probe = too_large
                    && session.is_some_and(|session| {
                        self.endpoint.handle_too_large(Clock.now(), session, size)
                    });
                if lost > 0 && !was_probe {
                    self.shared.count_unsent(lost);
                    self.endpoint.handle_unsent(Clock.now(), &self.buffer);
                }
            }
            Sent::Blocked => bound.set_blocked(self.poll.registry(), true),
        }
    }

    /// Sends what is due for at most [`limits::SHUTDOWN_TIME`]; what a full carrier cannot take then is lost.
    fn send_remaining(&mut self) {
        let until = Clock.now() + limits::SHUTDOWN_TIME;
        let mut ready = mio::Events::with_capacity(16);
        while Clock.now() < until {
            let more = self.transmit(limits::TRANSMITS_PER_ITERATION);
            if self.outgoing.is_none() && !more {
                return;
            }
            let timeout = Duration::from_millis(u64::from(!more));
            self.poll_ready(&mut ready, Some(timeout));
        }
    }
}

/// Ends the thread, which cannot work any more. A program ends then, as by any panic of a thread.
fn fail(what: &str, error: &io::Error) -> ! {
    panic!("{what}: {error}")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use crossbeam_channel::bounded;

    use super::*;
    use crate::crypto::SecretKey;
    use crate::net::UdpCarrier;
    use crate::net::event_queue;

    /// A carrier from which the system refuses to receive.
    fn broken() -> Box<dyn Carrier> {
        let mut carrier = UdpCarrier::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (pipe, _writer) = rustix::pipe::pipe().unwrap();
        carrier.io = mio::net::UdpSocket::from_std(std::net::UdpSocket::from(pipe));
        Box::new(carrier)
    }

    #[test]
    fn a_driver_whose_carriers_have_all_failed_panics() {
        let poll = Poll::new().unwrap();
        let shared = Arc::new(Shared::new(poll.registry()).unwrap());
        let identity = SecretKey::generate(&mut Rng::from_seed([1; 32]));
        let config = session::Config::new(identity, None);
        let (_commands, commands) = bounded(1);
        let (events, _events) = event_queue::channel();
        let driver = Driver::new(
            poll,
            vec![broken(), broken()],
            (config, Rng::from_seed([2; 32])),
            commands,
            EventQueue::new(events, None),
            None,
            shared,
        )
        .unwrap();
        let failed = std::thread::spawn(move || driver.run()).join().unwrap_err();
        let message = failed.downcast::<String>().unwrap();
        assert!(
            message.starts_with("the last socket has failed, 127.0.0.1:"),
            "{message}"
        );
    }
}
