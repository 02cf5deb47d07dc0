//! Two endpoints over a link without loss: transfers, handshakes and violations.

mod addresses;
mod allocations;
mod datagram_sizes;
pub mod handmade;
mod inits;
mod migration;
mod retries;
mod short_exchanges;
mod violations;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::crypto::{PublicKey, SecretKey};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::{INVITE, MAX_DATAGRAM};
use crate::wire::{CallId, Early, Lane, StreamId};
use datagram_sizes::Sizes;

/// An authorizer that admits every controller.
struct Open;

impl Authorizer for Open {
    fn authorize_session(
        &mut self,
        _: &PublicKey,
        _: PeerAddr,
        _: Option<&[u8; INVITE]>,
    ) -> Authorization {
        Authorization::UNRESTRICTED
    }
}

/// A controller and an agent, connected by a link with a one-way delay.
struct Pair {
    now: Instant,
    delay: Duration,
    controller: Endpoint,
    agent: Endpoint,
    agent_key: PublicKey,
    /// Datagrams in flight, in order of sending: time of arrival, true if sent to the agent, bytes.
    wire: Vec<(Instant, bool, Vec<u8>)>,
    controller_events: Vec<Event>,
    agent_events: Vec<Event>,
    /// True if the agent consumes all data and sends it back.
    echo: bool,
    sizes: Sizes,
    /// Of the next datagrams that are sent: true if it is lost.
    losses: VecDeque<bool>,
}

fn address(agent: bool) -> PeerAddr {
    let address: SocketAddr = if agent {
        "192.0.2.1:7000".parse().unwrap()
    } else {
        "192.0.2.2:4000".parse().unwrap()
    };
    address.into()
}

fn path(to_agent: bool) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: address(to_agent),
    }
}

impl Pair {
    fn new(delay: Duration) -> Self {
        Self::with(delay, Vec::new())
    }

    /// Creates a pair whose agent remembers INITs of an earlier run.
    fn with(delay: Duration, seen: Vec<InitFingerprint>) -> Self {
        let mut rng = Rng::from_seed([7; 32]);
        let (agent, controller) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
        let agent_key = agent.public();
        if !seen.is_empty() {
            // A later run of the agent draws another epoch.
            rng.u64();
        }
        let now = Instant::from_micros(1_000_000);
        let config = |identity, authorizer| Config {
            segments: 8,
            max_datagram: MAX_DATAGRAM,
            ..Config::new(identity, authorizer)
        };
        Self {
            now,
            delay,
            controller: Endpoint::new(config(controller, None), rng.fork(), now),
            agent: Endpoint::new(
                Config {
                    seen,
                    ..config(agent, Some(Box::new(Open)))
                },
                rng.fork(),
                now,
            ),
            agent_key,
            wire: Vec::new(),
            controller_events: Vec::new(),
            agent_events: Vec::new(),
            echo: true,
            sizes: Sizes::default(),
            losses: VecDeque::new(),
        }
    }

    fn connect(
        &mut self,
        number: u64,
        ticket: Option<Ticket>,
        first: &'static [u8],
    ) -> SessionHandle {
        let session = SessionHandle(number);
        self.apply(Command::Connect(Connect {
            session,
            agent: self.agent_key,
            path: path(true),
            further: Vec::new(),
            ticket,
            invite: None,
            first: Bytes::from_static(first),
            timeout: Duration::from_secs(10),
        }));
        session
    }

    fn apply(&mut self, command: Command) {
        self.controller.apply(self.now, command);
        self.drain();
    }

    /// Drains transmits and events until both are empty, as the contract of an endpoint requires after every
    /// change.
    fn drain(&mut self) {
        loop {
            let sent = self.wire.len();
            self.drain_transmits();
            if !self.drain_events() && self.wire.len() == sent {
                return;
            }
        }
    }

    fn drain_transmits(&mut self) {
        let mut buf = Vec::new();
        for to_agent in [true, false] {
            let endpoint = if to_agent {
                &mut self.controller
            } else {
                &mut self.agent
            };
            while let Some(transmit) = endpoint.poll_transmit(self.now, &mut buf) {
                for datagram in self.sizes.carried(self.now, endpoint, &transmit, &buf) {
                    if !self.losses.pop_front().unwrap_or(false) {
                        self.wire.push((self.now + self.delay, to_agent, datagram));
                    }
                }
            }
        }
    }

    fn drain_events(&mut self) -> bool {
        let before = self.controller_events.len() + self.agent_events.len();
        while let Some(event) = self.controller.poll_event() {
            if let Event::Stream {
                session,
                event: StreamEvent::Data { stream, data, .. },
            } = &event
            {
                let (session, stream, bytes) = (*session, *stream, data.len() as u64);
                self.controller.apply(
                    self.now,
                    Command::Consumed {
                        session,
                        stream,
                        bytes,
                    },
                );
            }
            self.controller_events.push(event);
        }
        while let Some(event) = self.agent.poll_event() {
            if let Event::Stream {
                session,
                event:
                    StreamEvent::Data {
                        stream, data, fin, ..
                    },
            } = &event
                && self.echo
            {
                let (session, stream, data, fin) = (*session, *stream, data.clone(), *fin);
                let bytes = data.len() as u64;
                self.agent.apply(
                    self.now,
                    Command::Consumed {
                        session,
                        stream,
                        bytes,
                    },
                );
                self.agent.apply(
                    self.now,
                    Command::Write {
                        session,
                        stream,
                        data,
                        fin,
                    },
                );
            }
            self.agent_events.push(event);
        }
        self.controller_events.len() + self.agent_events.len() > before
    }

    /// Delivers datagrams and fires timers until none is due before `until`.
    fn run(&mut self, until: Instant) {
        for _ in 0..1_000_000 {
            self.drain();
            let arrival = self.wire.iter().map(|(due, ..)| *due).min();
            let timers = [self.controller.poll_timeout(), self.agent.poll_timeout()];
            let next = timers.into_iter().flatten().chain(arrival).min();
            let Some(next) = next.filter(|&next| next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            if let Some(index) = self.wire.iter().position(|(due, ..)| *due <= self.now) {
                let (_, to_agent, mut bytes) = self.wire.remove(index);
                let endpoint = if to_agent {
                    &mut self.agent
                } else {
                    &mut self.controller
                };
                endpoint.handle_datagram(self.now, path(!to_agent), None, &mut bytes);
            } else {
                self.controller.handle_timeout(self.now);
                self.agent.handle_timeout(self.now);
            }
        }
        panic!("the endpoints do not become idle");
    }

    fn received(&self, lane: Lane) -> Vec<u8> {
        let mut all = Vec::new();
        for event in &self.controller_events {
            if let Event::Stream {
                event:
                    StreamEvent::Data {
                        stream,
                        data,
                        offset,
                        ..
                    },
                ..
            } = event
                && stream.lane() == lane
            {
                assert_eq!(*offset, all.len() as u64);
                all.extend_from_slice(data);
            }
        }
        all
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn first_contact_takes_two_round_trips_and_the_second_time_one() {
    let mut pair = Pair::new(Duration::from_millis(50));
    let start = pair.now;
    pair.connect(1, None, b"hello");
    pair.run(start + Duration::from_millis(199));
    assert_eq!(pair.received(Lane::Control), b"");
    pair.run(start + Duration::from_millis(201));
    assert_eq!(pair.received(Lane::Control), b"hello");
    let ticket = pair.controller_events.iter().find_map(|event| match event {
        Event::Connected { ticket, early, .. } => Some((*ticket, *early)),
        _ => None,
    });
    let (ticket, _) = ticket.unwrap();
    pair.controller_events.clear();
    let start = pair.now;
    pair.connect(2, Some(ticket), b"again");
    pair.run(start + Duration::from_millis(101));
    assert_eq!(pair.received(Lane::Control), b"again");
    assert!(pair.controller_events.iter().any(|event| matches!(
        event,
        Event::Connected {
            early: Early::Accepted,
            ..
        }
    )));
}

#[test]
fn ten_megabytes_are_echoed_in_full_and_both_endpoints_become_idle() {
    let mut pair = Pair::new(Duration::from_millis(5));
    let session = pair.connect(1, None, b"x");
    let bulk: Vec<u8> = (0..10_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let stream = StreamId::new(CallId(0), Lane::Data);
    pair.apply(Command::Write {
        session,
        stream,
        data: bulk.clone().into(),
        fin: true,
    });
    pair.run(pair.now + SECOND * 60);
    assert!(pair.received(Lane::Data) == bulk);
    pair.apply(Command::Release {
        session,
        call: CallId(0),
    });
    pair.apply(Command::Close {
        session,
        code: 0,
        reason: String::new(),
    });
    pair.run(pair.now + SECOND * 10);
    assert_eq!((pair.controller.sessions(), pair.agent.sessions()), (0, 0));
    assert_eq!(
        (pair.controller.poll_timeout(), pair.agent.poll_timeout()),
        (None, None)
    );
}

#[test]
fn a_reader_that_consumes_nothing_stalls_the_writer_at_its_window() {
    let mut pair = Pair::new(Duration::from_millis(5));
    pair.echo = false;
    let session = pair.connect(1, None, b"x");
    let stream = StreamId::new(CallId(0), Lane::Data);
    pair.apply(Command::Write {
        session,
        stream,
        data: vec![1; 5_000_000].into(),
        fin: true,
    });
    pair.run(pair.now + SECOND * 60);
    let got: usize = pair
        .agent_events
        .iter()
        .filter_map(|event| match event {
            Event::Stream {
                event: StreamEvent::Data { stream, data, .. },
                ..
            } if stream.lane() == Lane::Data => Some(data.len()),
            _ => None,
        })
        .sum();
    assert_eq!(got as u64, limits::STREAM_WINDOW);
}

#[test]
fn a_reset_of_stdin_after_all_its_bytes_is_not_its_end() {
    for data in ["", "abc"] {
        let mut pair = Pair::new(Duration::from_millis(5));
        pair.echo = false;
        let session = pair.connect(1, None, b"x");
        let stream = StreamId::new(CallId(0), Lane::Data);
        pair.apply(Command::Write {
            session,
            stream,
            data: data.into(),
            fin: false,
        });
        pair.run(pair.now + SECOND);
        pair.apply(Command::Reset {
            session,
            stream,
            code: 2,
        });
        pair.run(pair.now + SECOND);
        let events: Vec<_> = pair
            .agent_events
            .iter()
            .filter_map(|event| match event {
                Event::Stream {
                    event: StreamEvent::Data { stream, fin, .. },
                    ..
                } if stream.lane() == Lane::Data => Some(Err(*fin)),
                Event::Stream {
                    event: StreamEvent::Reset { code, .. },
                    ..
                } => Some(Ok(*code)),
                _ => None,
            })
            .collect();
        let expected: &[_] = if data.is_empty() {
            &[Ok(2)]
        } else {
            &[Err(false), Ok(2)]
        };
        assert_eq!(events, expected);
    }
}

#[test]
fn first_data_from_another_address_does_not_validate_that_address() {
    let mut pair = Pair::new(Duration::ZERO);
    pair.connect(1, None, b"x");
    pair.drain();
    // INIT and RESP arrive; the first DATA then comes from another address.
    for _ in 0..2 {
        let (_, to_agent, mut bytes) = pair.wire.remove(0);
        let (endpoint, from) = if to_agent {
            (&mut pair.agent, path(false))
        } else {
            (&mut pair.controller, path(true))
        };
        endpoint.handle_datagram(pair.now, from, None, &mut bytes);
        pair.drain();
    }
    let first = pair.wire.iter().position(|(_, to_agent, _)| *to_agent);
    let (.., mut bytes) = pair.wire.remove(first.expect("DATA is on the wire"));
    let other = Path {
        remote: "198.51.100.9:9"
            .parse::<std::net::SocketAddr>()
            .unwrap()
            .into(),
        ..path(false)
    };
    pair.agent
        .handle_datagram(pair.now, other, None, &mut bytes);
    let session = pair.agent.session(0).unwrap();
    assert_eq!(session.path.path, other);
    assert!(!session.path.validated && session.path.challenge_due);
    assert_eq!(session.path.budget(), 3 * bytes.len() as u64);
    // The RESP was sent to the address of the INIT and arrived there, which validates that address.
    let previous = session.previous_path.unwrap();
    assert_eq!((previous.path, previous.validated), (path(false), true));
}
