//! Allocations of both endpoints during a bulk transfer.

use std::collections::VecDeque;

use allocation_counter::measure;

use super::*;
use crate::wire::limits::MAX_DATAGRAM;

/// A transfer from the controller to the agent. What is sent arrives a step later.
struct Transfer {
    pair: Pair,
    session: SessionHandle,
    stream: StreamId,
    written: u64,
    received: u64,
    datagrams: u64,
    allocations: u64,
    /// Datagrams to the controller and to the agent that were sent in the last step.
    wires: [VecDeque<Vec<u8>>; 2],
}

impl Transfer {
    fn new(mtu: usize) -> Self {
        let mut pair = Pair::new(Duration::from_millis(1));
        pair.echo = false;
        pair.sizes.mtu = mtu;
        let session = pair.connect(1, None, b"x");
        pair.run(pair.now + SECOND);
        Self {
            pair,
            session,
            stream: StreamId::new(CallId(0), Lane::Data),
            written: 0,
            received: 0,
            datagrams: 0,
            allocations: 0,
            wires: Default::default(),
        }
    }

    fn count<T>(&mut self, act: impl FnOnce(&mut Pair) -> T) -> T {
        let mut result = None;
        let pair = &mut self.pair;
        let info = measure(|| result = Some(act(pair)));
        self.allocations += info.count_total;
        result.expect("it was run")
    }

    /// Sends and receives `bytes` more.
    fn run(&mut self, bytes: u64) {
        let piece = Bytes::from(vec![7; 64 << 10]);
        let until = self.received + bytes;
        let mut buf = Vec::with_capacity(MAX_DATAGRAM);
        while self.received < until {
            while self.written < self.received + (1 << 20) {
                let (session, stream) = (self.session, self.stream);
                self.written += piece.len() as u64;
                let data = piece.clone();
                self.count(|pair| {
                    let write = Command::Write {
                        session,
                        stream,
                        data,
                        fin: false,
                    };
                    pair.controller.apply(pair.now, write);
                });
            }
            for to_agent in [true, false] {
                self.pass(to_agent, &mut buf);
            }
            self.pair.now += Duration::from_micros(50);
            self.count(|pair| {
                pair.controller.handle_timeout(pair.now);
                pair.agent.handle_timeout(pair.now);
            });
        }
    }

    /// Passes on what one endpoint sends, and handles the events of the other.
    fn pass(&mut self, to_agent: bool, buf: &mut Vec<u8>) {
        let mut wire = std::mem::take(&mut self.wires[usize::from(to_agent)]);
        let arriving = wire.len();
        while let Some(transmit) = self.count(|pair| {
            let (now, endpoint) = (pair.now, pair.sender(to_agent));
            endpoint.poll_transmit(now, buf)
        }) {
            let mut sizes = std::mem::take(&mut self.pair.sizes);
            let now = self.pair.now;
            let endpoint = self.pair.sender(to_agent);
            wire.extend(sizes.carried(now, endpoint, &transmit, buf));
            self.pair.sizes = sizes;
        }
        for mut datagram in wire.drain(..arriving) {
            self.datagrams += 1;
            self.count(|pair| {
                let (now, endpoint) = (pair.now, pair.sender(!to_agent));
                endpoint.handle_datagram(now, path(!to_agent), None, &mut datagram);
            });
        }
        self.wires[usize::from(to_agent)] = wire;
        while let Some(event) = self.count(|pair| pair.sender(!to_agent).poll_event()) {
            let Event::Stream {
                session,
                event: StreamEvent::Data { stream, data, .. },
            } = event
            else {
                continue;
            };
            let bytes = data.len() as u64;
            self.received += bytes;
            self.count(|pair| {
                drop(data);
                let consumed = Command::Consumed {
                    session,
                    stream,
                    bytes,
                };
                let now = pair.now;
                pair.sender(!to_agent).apply(now, consumed);
            });
        }
    }
}

impl Pair {
    fn sender(&mut self, to_agent: bool) -> &mut Endpoint {
        if to_agent {
            &mut self.controller
        } else {
            &mut self.agent
        }
    }
}

/// Returns the numbers of datagrams and allocations of a transfer, once tables and buffers have their sizes.
fn transfer(mtu: usize) -> (u64, u64) {
    let mut transfer = Transfer::new(mtu);
    transfer.run(20_000_000);
    (transfer.datagrams, transfer.allocations) = (0, 0);
    transfer.run(20_000_000);
    (transfer.datagrams, transfer.allocations)
}

#[test]
fn a_bulk_transfer_allocates_for_few_of_its_datagrams() {
    let (datagrams, allocations) = transfer(1472);
    assert!(datagrams > 13_000, "{datagrams} datagrams");
    assert!(
        allocations * 50 < datagrams,
        "{allocations} allocations, {datagrams} datagrams"
    );
    let (datagrams, allocations) = transfer(MAX_DATAGRAM);
    assert!(datagrams < 2000, "{datagrams} datagrams");
    assert!(
        allocations * 40 < datagrams,
        "{allocations} allocations, {datagrams} datagrams"
    );
}

/// Bytes that an agent keeps for a session after its first exchange, with `count` sessions of as many keys.
fn bytes_per_idle_session(count: u16) -> i64 {
    let mut rng = Rng::from_seed([7; 32]);
    let identity = SecretKey::generate(&mut rng);
    let key = identity.public();
    let now = Instant::from_micros(1_000_000);
    let config = Config {
        segments: 8,
        max_datagram: MAX_DATAGRAM,
        ..Config::new(identity, Some(Box::new(Open)))
    };
    let mut agent = Endpoint::new(config, rng.fork(), now);
    let mut kept = 0;
    let mut counted = |act: &mut dyn FnMut()| kept += measure(act).bytes_current;
    let mut controllers = Vec::new();
    let mut buf = Vec::with_capacity(MAX_DATAGRAM);
    for number in 0..count {
        let start = now + Duration::from_millis(10) * u32::from(number);
        let config = Config::new(SecretKey::generate(&mut rng), None);
        let mut controller = Endpoint::new(config, rng.fork(), start);
        controller.apply(
            start,
            Command::Connect(Connect {
                session: SessionHandle(1),
                agent: key,
                path: path(true),
                further: Vec::new(),
                ticket: None,
                invite: None,
                first: Bytes::from_static(b"x"),
                timeout: SECOND,
            }),
        );
        let [high, low] = number.to_be_bytes();
        let from = Path {
            socket: 0,
            local: None,
            remote: SocketAddr::from(([10, high, low, 1], 7)).into(),
        };
        for millis in [0, 20, 40, 1000] {
            let now = start + Duration::from_millis(millis);
            controller.handle_timeout(now);
            counted(&mut || agent.handle_timeout(now));
            for _ in 0..4 {
                while controller.poll_transmit(now, &mut buf).is_some() {
                    counted(&mut || agent.handle_datagram(now, from, None, &mut buf));
                }
                while agent.poll_transmit(now, &mut buf).is_some() {
                    controller.handle_datagram(now, path(true), None, &mut buf);
                }
                counted(&mut || while agent.poll_event().is_some() {});
                while controller.poll_event().is_some() {}
            }
        }
        controllers.push(controller);
    }
    assert_eq!(agent.sessions(), usize::from(count), "{:?}", agent.stats());
    kept / i64::from(count)
}

#[test]
fn an_idle_session_takes_less_than_four_kib() {
    let bytes = bytes_per_idle_session(1000);
    assert!((1000..4096).contains(&bytes), "{bytes} bytes");
}
