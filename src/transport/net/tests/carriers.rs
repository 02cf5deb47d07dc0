//! Tests of the driver over carriers that are not UDP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mio::{Registry, Token};

use super::*;

const MEBIBYTE: usize = 1 << 20;

/// Payload of an Ethernet frame: a mebibyte takes hundreds of datagrams.
const ETHERNET: usize = 1472;

/// An agent and a controller over a pair in memory, and the controller's path to the agent.
fn over_memory((near, far): (MemoryCarrier, MemoryCarrier)) -> (Net, Net, Path) {
    let path = Path {
        socket: 0,
        local: None,
        remote: near.peer_addr(),
    };
    let config = Config::new(secret(1), Some(Box::new(Everyone)));
    let sink: Box<dyn PlainSink> = Box::new(Everyone);
    let agent = start(
        vec![Box::new(far)],
        config,
        rng().unwrap(),
        Some(sink),
        None,
    )
    .unwrap();
    let config = Config::new(secret(2), None);
    let sink: Box<dyn PlainSink> = Box::new(Everyone);
    let controller = start(
        vec![Box::new(near)],
        config,
        rng().unwrap(),
        Some(sink),
        None,
    )
    .unwrap();
    (agent, controller, path)
}

/// Sends a mebibyte in each direction.
fn exchange(agent: &Net, controller: &Net, path: Path) {
    let (ours, theirs) = controller.connect(agent, path);
    let sent = pattern(MEBIBYTE);
    controller.write(ours, sent.clone().into(), true);
    assert!(agent.read(theirs) == sent);
    agent.write(theirs, sent.clone().into(), true);
    assert!(controller.read(ours) == sent);
}

#[test]
fn a_session_over_memory_carries_a_mebibyte_each_way() {
    let (agent, controller, path) = over_memory(MemoryCarrier::pair().unwrap());
    exchange(&agent, &controller, path);
    assert_eq!(controller.handle.unsent() + agent.handle.unsent(), 0);
    controller.end();
    agent.end();
}

#[test]
fn a_session_over_memory_survives_the_loss_of_every_fifth_datagram() {
    let lost = Arc::new(AtomicU64::new(0));
    let every_fifth = |first: u64| {
        let (mut number, lost) = (first, Arc::clone(&lost));
        move |_: &[u8]| {
            number += 1;
            let is_lost = number.is_multiple_of(5);
            lost.fetch_add(u64::from(is_lost), Ordering::Relaxed);
            is_lost
        }
    };
    let (near, far) = MemoryCarrier::pair().unwrap();
    // The first INIT is lost as well.
    let pair = (
        near.with_mtu(ETHERNET).with_loss(every_fifth(4)),
        far.with_mtu(ETHERNET).with_loss(every_fifth(0)),
    );
    let (agent, controller, path) = over_memory(pair);
    exchange(&agent, &controller, path);
    assert!(lost.load(Ordering::Relaxed) > 100, "{lost:?} lost");
    controller.end();
    agent.end();
}

#[test]
fn the_gate_sees_a_peer_without_an_ip_address() {
    struct Recorder(crossbeam_channel::Sender<PeerAddr>);

    impl Authorizer for Recorder {
        fn authorize_session(
            &mut self,
            _: &PublicKey,
            from: PeerAddr,
            _: Option<&[u8; INVITE]>,
        ) -> Authorization {
            self.0.send(from).unwrap();
            Authorization::UNRESTRICTED
        }
    }

    let (near, far) = MemoryCarrier::pair().unwrap();
    let (address, remote) = (near.local_addr(), near.peer_addr());
    let (sender, seen) = crossbeam_channel::bounded(1);
    let config = Config::new(secret(1), Some(Box::new(Recorder(sender))));
    let agent = start(vec![Box::new(far)], config, rng().unwrap(), None, None).unwrap();
    let config = Config::new(secret(2), None);
    let controller = start(vec![Box::new(near)], config, rng().unwrap(), None, None).unwrap();
    let path = Path {
        socket: 0,
        local: None,
        remote,
    };
    controller.connect(&agent, path);
    let from = seen.recv_timeout(DEADLINE).unwrap();
    assert_eq!((from, from.ip()), (address, None));
    controller.end();
    agent.end();
}

#[test]
fn plain_text_over_memory_arrives_and_is_answered() {
    let (agent, controller, path) = over_memory(MemoryCarrier::pair().unwrap());
    let plain = |event| match event {
        Event::Plain { path, text, .. } => Some((path, text)),
        _ => None,
    };
    let text = Bytes::from_static(b"hello\n");
    controller
        .handle
        .send(Command::Plain { path, text })
        .unwrap();
    let (path, text) = agent.wait(plain);
    assert_eq!(text, &b"hello\n"[..]);
    let text = Bytes::from_static(b"good day");
    agent.handle.send(Command::Plain { path, text }).unwrap();
    assert_eq!(controller.wait(plain).1, &b"good day"[..]);
    controller.end();
    agent.end();
}

#[test]
fn a_datagram_to_an_address_of_another_carrier_is_counted_as_unsent() {
    let (near, _far) = MemoryCarrier::pair().unwrap();
    let id = near.peer_addr();
    let udp = UdpCarrier::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let carriers: Vec<Box<dyn Carrier>> = vec![Box::new(near), Box::new(udp)];
    let net = start(
        carriers,
        Config::new(secret(2), None),
        rng().unwrap(),
        None,
        None,
    )
    .unwrap();
    let socket_addr = SocketAddr::from(([127, 0, 0, 1], 9)).into();
    for (socket, remote) in [(0, socket_addr), (1, id)] {
        let path = Path {
            socket,
            local: None,
            remote,
        };
        let text = Bytes::from_static(b"hello");
        net.handle.send(Command::Plain { path, text }).unwrap();
    }
    let handle = net.handle.clone();
    net.end();
    assert_eq!(handle.unsent(), 2);
}

/// A carrier that is full at every second attempt to send.
struct Stuttering {
    inner: MemoryCarrier,
    full: bool,
    blocked: Arc<AtomicU64>,
}

impl Carrier for Stuttering {
    fn local_addr(&self) -> PeerAddr {
        self.inner.local_addr()
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.inner.register(registry, token)
    }

    fn set_writable_interest(
        &mut self,
        registry: &Registry,
        token: Token,
        on: bool,
    ) -> io::Result<()> {
        self.inner.set_writable_interest(registry, token, on)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.inner.deregister(registry)
    }

    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<usize> {
        self.inner.receive(inbox)
    }

    fn send(&mut self, outgoing: &mut Outgoing, buffer: &[u8]) -> Sent {
        self.full = !self.full;
        if self.full {
            self.blocked.fetch_add(1, Ordering::Relaxed);
            return Sent::Blocked;
        }
        self.inner.send(outgoing, buffer)
    }

    fn segments(&self) -> usize {
        self.inner.segments()
    }

    fn max_datagram(&self) -> usize {
        self.inner.max_datagram()
    }

    fn receive_buffer(&self) -> usize {
        self.inner.receive_buffer()
    }

    fn validates_addresses(&self) -> bool {
        self.inner.validates_addresses()
    }
}

#[test]
fn a_transmit_that_finds_the_carrier_full_is_sent_after_a_writable_event() {
    let blocked = Arc::new(AtomicU64::new(0));
    let (near, far) = MemoryCarrier::pair().unwrap();
    let path = Path {
        socket: 0,
        local: None,
        remote: near.peer_addr(),
    };
    let [near, far] = [near, far].map(|inner| -> Vec<Box<dyn Carrier>> {
        vec![Box::new(Stuttering {
            inner: inner.with_mtu(ETHERNET),
            full: false,
            blocked: Arc::clone(&blocked),
        })]
    });
    let config = Config::new(secret(1), Some(Box::new(Everyone)));
    let agent = start(far, config, rng().unwrap(), None, None).unwrap();
    let config = Config::new(secret(2), None);
    let controller = start(near, config, rng().unwrap(), None, None).unwrap();
    exchange(&agent, &controller, path);
    assert!(blocked.load(Ordering::Relaxed) > 100, "{blocked:?}");
    controller.end();
    agent.end();
}

#[test]
fn a_route_that_refuses_large_datagrams_is_used_with_the_largest_that_it_takes() {
    let (near, far) = MemoryCarrier::pair().unwrap();
    let (agent, controller, path) = over_memory((near.with_mtu(9000), far.with_mtu(9000)));
    exchange(&agent, &controller, path);
    for net in [agent, controller] {
        net.handle.send(Command::Count(1)).unwrap();
        let counts = net.wait(|event| match event {
            Event::Counted { counts, .. } => Some(counts),
            _ => None,
        });
        let average = counts.sent_bytes / counts.sent;
        assert!((2400..9000).contains(&average), "{counts:?}");
        // The refusal of a probe is no fault.
        assert_eq!(counts.unsent, 0);
        net.end();
    }
}

#[test]
fn a_datagram_that_udp_cannot_carry_is_reported_as_too_large() {
    let mut carrier = UdpCarrier::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let path = Path {
        socket: 0,
        local: None,
        remote: carrier.local_addr(),
    };
    let mut send = |size| {
        let transmit = session::Transmit::single(path);
        carrier.send(&mut Outgoing { transmit, done: 0 }, &vec![1; size])
    };
    assert_eq!(send(65_507), Sent::ALL);
    let (lost, too_large) = (1, true);
    assert_eq!(send(65_508), Sent::Whole { lost, too_large });
}

/// A carrier of which only the largest datagram matters.
struct Narrow(usize);

impl Carrier for Narrow {
    fn local_addr(&self) -> PeerAddr {
        PeerAddr::from_id(7)
    }

    fn register(&mut self, _: &Registry, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn set_writable_interest(&mut self, _: &Registry, _: Token, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, _: &mut Inbox) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, outgoing: &mut Outgoing, buffer: &[u8]) -> Sent {
        outgoing.done = buffer.len();
        Sent::ALL
    }

    fn segments(&self) -> usize {
        1
    }

    fn max_datagram(&self) -> usize {
        self.0
    }

    fn receive_buffer(&self) -> usize {
        0
    }

    fn validates_addresses(&self) -> bool {
        false
    }
}

#[test]
fn a_carrier_of_datagrams_too_small_for_a_session_is_refused() {
    let attempt = |carriers| {
        let config = Config::new(secret(2), None);
        let net = start(carriers, config, rng().unwrap(), None, None);
        net.map(Net::end).map_err(|error| error.to_string())
    };
    assert_eq!(attempt(vec![Box::new(Narrow(1200))]), Ok(()));
    assert_eq!(
        attempt(vec![Box::new(Narrow(1199))]),
        Err("id:7 carries 1199 octets, a session needs 1200".into())
    );
    let none = "a network thread needs a carrier";
    assert_eq!(attempt(Vec::new()), Err(none.into()));
}
