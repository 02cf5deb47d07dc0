//! An endpoint against a peer that holds the session's keys. Whatever the peer sends, and whenever, the endpoint
//! does not panic, becomes idle after each change, reuses no counter, stays within its bounds and ends the session.
//!
//! The peer is not an endpoint. Bytes choose the frames that it seals, their counters, its address, the time that
//! passes, and the commands of the endpoint's application. The first byte chooses the role of the endpoint and
//! whether the peer conforms to the protocol; a conforming peer must never be reported as a violation. The
//! fuzz target `endpoint` runs this on its inputs, a test on random bytes.

mod frames;
mod input;
mod setup;

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use udpagent::peer_addr::PeerAddr;

use bytes::Bytes;
use udpagent::crypto::TrafficKeys;
use udpagent::session::{
    Closed, Command, Endpoint, Event, Path, SessionHandle, StreamEvent, limits,
};
use udpagent::time::Instant;
use udpagent::wire::limits::{DATA_HEADER, MAX_COUNTER, MAX_VARINT};
use udpagent::wire::{CallId, Data, Datagram, Frame, Lane, SessionId, StreamId};

use frames::Frames;
use input::Input;

/// Role of the endpoint under test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Agent,
    Controller,
}

/// Maximum number of steps of a run, which bounds its duration.
const STEPS: usize = 300;

/// Maximum number of calls of one drain, more than any change needs.
const MAX_DRAIN_CALLS: usize = 100_000;

/// Maximum number of bytes that the application writes in a run.
const MAX_WRITTEN: usize = 1 << 20;

/// An endpoint with one session, and its peer.
struct Run {
    endpoint: Endpoint,
    now: Instant,
    session: SessionHandle,
    keys: TrafficKeys,
    /// Session ids of the endpoint and of the peer.
    receiver: SessionId,
    local: SessionId,
    frames: Frames,
    counter: u64,
    /// Last counter sealed by the endpoint.
    sealed: Option<u64>,
    closed: bool,
    offsets: HashMap<StreamId, u64>,
    written: usize,
    /// Bytes received from and sent to each address, and the validated addresses.
    traffic: HashMap<PeerAddr, (u64, u64)>,
    validated: HashSet<PeerAddr>,
    log: Vec<Vec<u8>>,
}

/// Runs an endpoint and a peer as `bytes` choose.
///
/// # Panics
/// If the endpoint panics or breaks a promise.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mode = input.byte();
    let role = if mode & 1 == 0 {
        Role::Agent
    } else {
        Role::Controller
    };
    let frames = Frames::new(role, mode & 2 == 0);
    let Some(mut run) = setup::run(role, frames, &mut input) else {
        return;
    };
    run.drain();
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
        run.drain();
    }
    run.advance(limits::IDLE * 3);
    assert_eq!(run.endpoint.sessions(), 0, "a session is still open");
    assert_eq!(run.endpoint.poll_timeout(), None);
    assert!(run.closed, "no event reported the end of the session");
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(8) {
            0..=3 => self.datagram(input),
            4 | 5 => self.pass(input),
            6 => self.apply(input),
            _ => self.unsealed(input),
        }
    }

    /// Delivers a sealed datagram of a few frames.
    fn datagram(&mut self, input: &mut Input<'_>) {
        let counter = self.next_counter(input);
        let header = Data {
            phase: 0,
            receiver: self.receiver,
            counter,
        }
        .encode();
        let mut datagram = header.to_vec();
        for _ in 0..=input.below(4) {
            self.frames.write(input, &mut datagram);
        }
        self.keys
            .seal
            .seal(counter, &header, &mut datagram, DATA_HEADER);
        let from = match input.byte() {
            0..=31 if self.frames.role == Role::Agent => setup::peer(input.below(4)),
            _ => setup::peer(0),
        };
        self.deliver(from, &mut datagram);
    }

    fn next_counter(&mut self, input: &mut Input<'_>) -> u64 {
        if self.frames.conforming {
            self.counter += 1 + u64::from(input.below(16) == 0);
            return self.counter;
        }
        let counter = match input.below(16) {
            0 => MAX_COUNTER.saturating_sub(u64::from(input.byte())),
            1 => u64::MAX - u64::from(input.byte()),
            2 => self.counter.saturating_sub(u64::from(input.byte())),
            3 => input.word(),
            4 => self.counter.saturating_add(input.word() >> 40),
            _ => self.counter.saturating_add(1),
        };
        self.counter = if counter <= MAX_COUNTER {
            self.counter.max(counter)
        } else {
            self.counter
        };
        counter
    }

    fn deliver(&mut self, from: PeerAddr, datagram: &mut [u8]) {
        self.log.truncate(16);
        self.log.push(datagram.to_vec());
        self.traffic.entry(from).or_default().0 += datagram.len() as u64;
        self.endpoint
            .handle_datagram(self.now, path(from), None, datagram);
    }

    /// Delivers a repeated, a damaged or an unsealed datagram.
    fn unsealed(&mut self, input: &mut Input<'_>) {
        let from = setup::peer(input.below(4));
        let before = usize::from(input.byte());
        let mut datagram = match self.log.get(before % 20) {
            Some(datagram) => datagram.clone(),
            None => [udpagent::wire::TAG.to_vec(), input.take(60).to_vec()].concat(),
        };
        if input.below(2) == 1 && !datagram.is_empty() {
            let at = usize::from(input.byte()) % datagram.len();
            datagram[at] ^= 1 << input.below(8);
        }
        self.deliver(from, &mut datagram);
    }

    /// Lets time pass.
    fn pass(&mut self, input: &mut Input<'_>) {
        let time = match input.below(8) {
            0 => Duration::ZERO,
            1 => Duration::from_micros(u64::from(input.byte())),
            2 => Duration::from_millis(1),
            3 => Duration::from_millis(u64::from(input.byte())),
            4 => Duration::from_secs(1),
            5 => Duration::from_secs(u64::from(input.byte())),
            _ => {
                let due = self.endpoint.poll_timeout();
                due.map_or(Duration::ZERO, |due| due.since(self.now))
            }
        };
        // A busy driver handles several timers at once.
        if input.below(4) == 0 {
            self.now += time;
            self.endpoint.handle_timeout(self.now);
        } else {
            self.advance(time);
        }
    }

    /// Lets time pass and handles each timer when it is due.
    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut still = 0;
        while let Some(due) = self.endpoint.poll_timeout().filter(|&due| due <= until) {
            still = if due > self.now { 0 } else { still + 1 };
            assert!(still < 1000, "busy loop: a timer stays due");
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Applies a command of the application.
    fn apply(&mut self, input: &mut Input<'_>) {
        if let Some(command) = self.command(input) {
            self.endpoint.apply(self.now, command);
        }
    }

    fn command(&mut self, input: &mut Input<'_>) -> Option<Command> {
        let session = self.session;
        let call = CallId(u32::from(input.below(20)));
        let lane = [Lane::Control, Lane::Data, Lane::Stderr][usize::from(input.below(3))];
        let stream = StreamId::new(call, lane);
        let code = input.varint();
        Some(match input.below(16) {
            0..=5 => {
                let length = usize::from(input.byte()) * 100;
                if self.written + length > MAX_WRITTEN {
                    return None;
                }
                self.written += length;
                let data = Bytes::from(vec![7; length]);
                let fin = input.below(8) == 0;
                Command::Write {
                    session,
                    stream,
                    data,
                    fin,
                }
            }
            6..=9 => Command::Consumed {
                session,
                stream,
                bytes: code,
            },
            10 => Command::Reset {
                session,
                stream,
                code,
            },
            11 => Command::Stop {
                session,
                stream,
                code,
            },
            12 | 13 => Command::Release { session, call },
            14 => Command::Watch {
                session,
                silence: Duration::from_millis(code),
                ping: (input.below(2) == 0).then_some(Duration::from_millis(input.varint())),
            },
            _ if input.below(8) == 0 => Command::Close {
                session,
                code,
                reason: "ж".repeat(usize::from(input.byte())),
            },
            _ => return None,
        })
    }

    /// The contract: after every change transmits and events are drained until both are empty.
    fn drain(&mut self) {
        let mut buf = Vec::new();
        let mut empty = false;
        for _ in 0..MAX_DRAIN_CALLS {
            if let Some(transmit) = self.endpoint.poll_transmit(self.now, &mut buf) {
                for datagram in buf.chunks(transmit.segment.unwrap_or(buf.len())) {
                    self.on_sent(transmit.path.remote, datagram);
                }
                empty = false;
            } else if let Some(event) = self.endpoint.poll_event() {
                self.on_event(&event);
                empty = false;
            } else if empty {
                return self.check_amplification();
            } else {
                // The last event may have made a datagram possible.
                empty = true;
            }
        }
        panic!("the endpoint does not become idle");
    }

    /// Checked after a drain, because the event of a validation follows the datagrams that it permits.
    fn check_amplification(&self) {
        for (to, &(received, sent)) in &self.traffic {
            assert!(
                self.validated.contains(to) || sent <= limits::AMPLIFICATION * received,
                "{sent} bytes for {received} from {to}"
            );
        }
    }

    fn on_sent(&mut self, to: PeerAddr, datagram: &[u8]) {
        self.traffic.entry(to).or_default().1 += datagram.len() as u64;
        let parsed = Datagram::parse(datagram)
            .expect("a datagram")
            .expect("ours");
        let Datagram::Data(data) = parsed else {
            return;
        };
        if data.receiver != self.local {
            // A session that a repeated or changed INIT has begun.
            return;
        }
        assert!(
            self.sealed.is_none_or(|last| last < data.counter),
            "counter {} sealed after {:?}",
            data.counter,
            self.sealed
        );
        self.sealed = Some(data.counter);
        let (header, mut sealed) = (&datagram[..DATA_HEADER], datagram[DATA_HEADER..].to_vec());
        let opened = self.keys.open.open(data.counter, header, &mut sealed);
        let opened = opened.expect("sealed under the session's key");
        self.frames.received.insert(data.counter);
        for frame in udpagent::wire::Frames::new(opened) {
            match frame.expect("a frame") {
                Frame::PathChallenge(data) => self.frames.challenge = Some(data),
                Frame::Stream { stream, .. } => {
                    self.frames.calls = self.frames.calls.max(stream.call().0 + 1);
                }
                Frame::MaxData(max) | Frame::MaxStreamData { max, .. } => {
                    assert!(max <= MAX_VARINT);
                }
                _ => {}
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        if event.session() != Some(self.session) {
            return;
        }
        assert!(!self.closed, "{event:?} names a session that is over");
        match event {
            Event::Stream {
                event:
                    StreamEvent::Data {
                        stream,
                        offset,
                        data,
                        ..
                    },
                ..
            } => {
                let end = self.offsets.entry(*stream).or_default();
                assert_eq!(*offset, *end, "bytes out of order");
                *end += data.len() as u64;
            }
            Event::Moved { path, .. } => {
                self.validated.insert(path.remote);
            }
            Event::Closed { reason, .. } => {
                self.closed = true;
                let blamed = matches!(reason, Closed::Violation(_));
                assert!(!(blamed && self.frames.conforming), "{reason:?}");
            }
            _ => {}
        }
    }
}

fn path(remote: PeerAddr) -> Path {
    Path {
        socket: 0,
        local: None,
        remote,
    }
}
