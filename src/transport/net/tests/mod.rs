//! Tests of network threads over the loopback interface and over other carriers.

mod carriers;
mod flood;
mod page_faults;
mod refusals;
mod unsent;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::crypto::{PublicKey, SecretKey};
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::{
    self, Authorization, Authorizer, Config, Connect, Event as Session, Path, SessionHandle,
    StreamEvent,
};
use crate::time::Instant;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Lane, StreamId};

/// Deadline of every wait, for the slowest machine.
const DEADLINE: Duration = Duration::from_secs(60);
const STREAM: StreamId = StreamId::new(CallId(0), Lane::Data);

struct Everyone;

impl Authorizer for Everyone {
    fn authorize_session(
        &mut self,
        _: &PublicKey,
        _: PeerAddr,
        _: Option<&[u8; INVITE]>,
    ) -> Authorization {
        Authorization::UNRESTRICTED
    }
}

impl PlainSink for Everyone {
    fn admit(&mut self, _: Instant, _: &Path, _: &[u8]) -> bool {
        true
    }
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::generate(&mut Rng::from_seed([seed; 32]))
}

fn agent(binds: &[&str]) -> Net {
    let binds: Vec<SocketAddr> = binds.iter().map(|bind| bind.parse().unwrap()).collect();
    let config = Config::new(secret(1), Some(Box::new(Everyone)));
    start(
        bind_udp(&binds).unwrap().carriers,
        config,
        rng().unwrap(),
        Some(Box::new(Everyone)),
        None,
    )
    .unwrap()
}

fn controller() -> Net {
    let binds = ["0.0.0.0:0", "[::]:0"].map(|bind| bind.parse().unwrap());
    start(
        bind_udp(&binds).unwrap().carriers,
        Config::new(secret(2), None),
        rng().unwrap(),
        None,
        None,
    )
    .unwrap()
}

impl Net {
    fn next(&self) -> Event {
        let event = self.events.channel().recv_timeout(DEADLINE);
        self.events.taken();
        event.expect("an event in time")
    }

    /// Socket address of the carrier with this number.
    fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number].socket_addr().unwrap()
    }

    fn wait<T>(&self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next()) {
                return found;
            }
        }
    }

    fn ask(&self, command: session::Command) {
        self.handle.send(Command::Session(command)).unwrap();
    }

    /// Opens a session to an agent, and returns the handles of both ends.
    fn connect(&self, agent: &Net, path: Path) -> (SessionHandle, SessionHandle) {
        let session = SessionHandle(1);
        self.ask(session::Command::Connect(Connect {
            session,
            agent: secret(1).public(),
            path,
            further: Vec::new(),
            ticket: None,
            invite: None,
            first: Bytes::from_static(b"hello\n"),
            timeout: DEADLINE,
        }));
        let accepted = agent.wait(|event| match event {
            Event::Session(Session::Accepted { session, .. }) => Some(session),
            _ => None,
        });
        self.wait(|event| match event {
            Event::Session(Session::Connected { .. }) => Some(()),
            _ => None,
        });
        (session, accepted)
    }

    fn write(&self, session: SessionHandle, data: Bytes, fin: bool) {
        self.ask(session::Command::Write {
            session,
            stream: STREAM,
            data,
            fin,
        });
    }

    /// Reads the data lane to its end, and returns credit for every byte.
    fn read(&self, session: SessionHandle) -> Vec<u8> {
        let mut read = Vec::new();
        self.wait(|event| {
            let Event::Session(Session::Stream {
                event:
                    StreamEvent::Data {
                        stream, data, fin, ..
                    },
                ..
            }) = event
            else {
                return None;
            };
            if stream == STREAM {
                read.extend_from_slice(&data);
            }
            self.ask(session::Command::Consumed {
                session,
                stream,
                bytes: data.len() as u64,
            });
            (fin && stream == STREAM).then_some(())
        });
        read
    }

    /// Shuts the thread down and waits for its end.
    fn end(self) {
        self.handle.send(Command::Shutdown).unwrap();
        while self.events.channel().recv_timeout(DEADLINE).is_ok() {}
        assert!(self.handle.send(Command::Shutdown).is_err());
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250)
        .flat_map(|byte| [byte; 7])
        .cycle()
        .take(length)
        .collect()
}

#[test]
fn bytes_arrive_whole_over_both_address_families_and_every_local_address() {
    let agent = agent(&["0.0.0.0:0", "[::]:0"]);
    let [v4, v6] = [0, 1].map(|number| agent.address(number));
    for to in [
        SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::from(([127, 0, 0, 2], v4.port())),
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
    ] {
        let controller = controller();
        let (ours, theirs) = controller.connect(&agent, controller.path_to(to).unwrap());
        let sent = pattern(200_000);
        controller.write(ours, sent.clone().into(), true);
        assert!(agent.read(theirs) == sent);
        agent.write(theirs, sent.clone().into(), true);
        assert!(controller.read(ours) == sent);
        controller.end();
    }
    agent.end();
}

#[test]
fn more_bytes_than_the_credit_of_a_lane_arrive_whole() {
    let agent = agent(&["127.0.0.1:0"]);
    let controller = controller();
    let (ours, theirs) = controller.connect(&agent, controller.path_to(agent.address(0)).unwrap());
    let sent = pattern(8 << 20);
    for piece in sent.chunks(100_000) {
        controller.write(ours, Bytes::copy_from_slice(piece), false);
    }
    controller.write(ours, Bytes::new(), true);
    assert!(agent.read(theirs) == sent);
    controller.end();
    agent.end();
}

#[test]
fn a_closed_session_is_announced_to_the_peer_before_the_thread_ends() {
    let agent = agent(&["127.0.0.1:0"]);
    let controller = controller();
    let (ours, _) = controller.connect(&agent, controller.path_to(agent.address(0)).unwrap());
    controller.ask(session::Command::Close {
        session: ours,
        code: 7,
        reason: "enough".into(),
    });
    controller.end();
    let reason = agent.wait(|event| match event {
        Event::Session(Session::Closed { reason, .. }) => Some(reason),
        _ => None,
    });
    let (code, words) = (7, "enough".into());
    assert_eq!(
        reason,
        session::Closed::ByPeer {
            code,
            reason: words
        }
    );
    agent.end();
}

#[test]
fn a_thread_whose_last_handle_is_dropped_ends() {
    let Net { handle, events, .. } = agent(&["127.0.0.1:0"]);
    let another = handle.clone();
    drop(handle);
    drop(another);
    let end = events.channel().recv_timeout(DEADLINE);
    assert!(matches!(
        end,
        Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    ));
}

#[test]
fn plain_text_is_answered_from_the_address_it_came_to() {
    let agent = agent(&["0.0.0.0:0", "[::]:0"]);
    for host in ["127.0.0.1", "127.0.0.2", "127.9.9.9", "[::1]"] {
        let v4 = !host.starts_with('[');
        let from = if v4 { "127.0.0.1:0" } else { "[::1]:0" };
        let port = agent.address(usize::from(!v4)).port();
        let client = UdpSocket::bind(from).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        // A connected socket receives from no other address.
        client.connect(format!("{host}:{port}")).unwrap();
        client.send(b"hello\n").unwrap();
        let (path, text) = agent.wait(|event| match event {
            Event::Plain { path, text, .. } => Some((path, text)),
            _ => None,
        });
        assert_eq!(text, &b"hello\n"[..]);
        let reply = Bytes::from_static(b"good day");
        agent
            .handle
            .send(Command::Plain { path, text: reply })
            .unwrap();
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"good day");
    }
    agent.end();
}

#[test]
fn plain_text_of_any_size_arrives_datagram_by_datagram_and_tagged_bytes_never_do() {
    let agent = agent(&["127.0.0.1:0"]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = agent.address(0);
    client.send_to(b"", to).unwrap();
    client.send_to(&[0xF8, 0x55, 0x41], to).unwrap();
    client
        .send_to(&[0xF8, 0x55, 0x41, 0x11, 1, 2, 3], to)
        .unwrap();
    client.send_to(&vec![b'x'; 65_507], to).unwrap();
    // Joined by the kernel, if it can.
    let sender = UdpCarrier::bind("127.0.0.1:0".parse().unwrap());
    let mut outgoing = Outgoing {
        transmit: session::Transmit {
            segment: Some(4),
            ..session::Transmit::single(Path {
                socket: 0,
                local: None,
                remote: to.into(),
            })
        },
        done: 0,
    };
    let sent = sender.unwrap().send(&mut outgoing, b"one.two.six.end");
    assert_eq!(sent, Sent::ALL);
    let mut received = Vec::new();
    while received.len() < 6 {
        if let Event::Plain { text, length, .. } = agent.next() {
            received.push((text.to_vec(), length));
        }
    }
    assert_eq!(received[0], (Vec::new(), 0));
    assert_eq!(received[1], (vec![b'x'; limits::PLAIN], 65_507));
    let words: Vec<_> = received[2..].iter().map(|(text, _)| &text[..]).collect();
    assert_eq!(words, [&b"one."[..], b"two.", b"six.", b"end"]);
    agent.end();
}

#[test]
fn an_answer_leaves_although_its_source_address_is_gone() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut socket = UdpCarrier::bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let segments = socket.segments();
    for (local, segment) in [([192, 0, 2, 1], None), ([255, 255, 255, 255], Some(3))] {
        let mut outgoing = Outgoing {
            transmit: session::Transmit {
                segment,
                ..session::Transmit::single(Path {
                    socket: 0,
                    local: Some(local.into()),
                    remote: receiver.local_addr().unwrap().into(),
                })
            },
            done: 0,
        };
        let sent = socket.send(&mut outgoing, b"abcdef");
        assert_eq!(sent, Sent::ALL);
        let mut received = Vec::new();
        while received.len() < 6 {
            let mut buffer = [0; 10];
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(length, segment.unwrap_or(6));
            received.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(received, b"abcdef");
        assert_eq!(socket.segments(), segments, "segmentation is still on");
    }
}

#[test]
fn datagrams_that_the_system_refuses_are_counted_and_do_nothing_else() {
    let agent = agent(&["127.0.0.1:0"]);
    let path = |remote: &str, socket| Path {
        socket,
        local: None,
        remote: remote.parse::<SocketAddr>().unwrap().into(),
    };
    for (path, length) in [
        (path("127.0.0.1:9", 7), 5),
        (path("[::1]:9", 0), 5),
        (path("127.0.0.1:9", 0), 70_000),
        (path("127.0.0.1:9", 0), 0),
    ] {
        let text = vec![b'x'; length].into();
        agent.handle.send(Command::Plain { path, text }).unwrap();
    }
    let text = Bytes::copy_from_slice(&crate::wire::TAG);
    let path = path("127.0.0.1:9", 0);
    agent.handle.send(Command::Plain { path, text }).unwrap();
    let handle = agent.handle.clone();
    agent.end();
    assert_eq!(handle.unsent(), 5);
}

#[test]
fn an_address_in_use_is_reported_and_the_others_are_bound() {
    let first = agent(&["127.0.0.1:0"]);
    let taken = first.address(0);
    let second = bind_udp(&[taken, "127.0.0.2:0".parse().unwrap()]).unwrap();
    assert_eq!(second.carriers.len(), 1);
    assert_eq!(second.unbound[0].0, taken);
    let error = bind_udp(&[taken]).err().map(|error| error.kind());
    assert_eq!(error, Some(std::io::ErrorKind::AddrInUse));
    first.end();
}

#[test]
fn an_application_that_sleeps_is_woken_for_every_event() {
    let woken = Arc::new((std::sync::Mutex::new(0_u64), std::sync::Condvar::new()));
    let wakes = Arc::new(AtomicU64::new(0));
    let wake = {
        let (woken, wakes) = (Arc::clone(&woken), Arc::clone(&wakes));
        Box::new(move || {
            *woken.0.lock().unwrap() += 1;
            wakes.fetch_add(1, Ordering::Relaxed);
            woken.1.notify_all();
        })
    };
    let binds = ["127.0.0.1:0".parse().unwrap()];
    let config = Config::new(secret(1), None);
    let sink: Box<dyn PlainSink> = Box::new(Everyone);
    let carriers = bind_udp(&binds).unwrap().carriers;
    let net = start(carriers, config, rng().unwrap(), Some(sink), Some(wake)).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut received, mut seen) = (0, 0);
    for sent in 1..=1000 {
        client.send_to(b"x", net.address(0)).unwrap();
        // As an application does: take all events, then sleep until woken.
        while received < sent {
            while let Ok(Event::Plain { .. }) = net.events.channel().try_recv() {
                net.events.taken();
                received += 1;
            }
            if received < sent {
                let count = woken.0.lock().unwrap();
                let (count, timeout) = woken
                    .1
                    .wait_timeout_while(count, DEADLINE, |count| *count == seen)
                    .unwrap();
                assert!(
                    !timeout.timed_out(),
                    "{received} of {sent} events received, then asleep"
                );
                seen = *count;
            }
        }
    }
    assert!(wakes.load(Ordering::Relaxed) <= 1000);
    net.end();
}
