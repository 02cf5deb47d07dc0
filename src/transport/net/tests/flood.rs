//! A peer that floods an agent whose application takes its events slowly.

use std::net::UdpSocket;

use super::*;
use crate::crypto::TrafficKeys;
use crate::session::tests::handmade;
use crate::wire::limits::{DATA_HEADER, MIN_DATAGRAM};
use crate::wire::{Data, Frame, SessionId};

/// Frames in a datagram of the flood.
const FRAMES: u64 = 100;

/// Datagrams of the flood: twice as many frames as events ever waited in the thread.
const DATAGRAMS: u64 = 2 * 65_536 / FRAMES;

/// A controller without an endpoint, which sends any frames.
struct RawPeer {
    socket: UdpSocket,
    keys: TrafficKeys,
    receiver: SessionId,
    counter: u64,
}

impl RawPeer {
    fn connect(agent: SocketAddr) -> Self {
        let (key, identity) = (secret(1).public(), secret(3));
        let mut rng = Rng::from_seed([4; 32]);
        let (initiator, init) = handmade::init((&key, 0), &identity, &[], &mut rng);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect(agent).unwrap();
        socket.send(&init).unwrap();
        let mut answer = [0; MIN_DATAGRAM];
        let length = socket.recv(&mut answer).unwrap();
        let (keys, receiver) = handmade::finish(initiator, &answer[..length]);
        Self {
            socket,
            keys,
            receiver,
            counter: 0,
        }
    }

    fn send(&mut self, frames: &[Frame<'_>]) {
        self.counter += 1;
        let header = Data {
            phase: 0,
            receiver: self.receiver,
            counter: self.counter,
        }
        .encode();
        let mut datagram = header.to_vec();
        for frame in frames {
            frame.encode(&mut datagram);
        }
        self.keys
            .seal
            .seal(self.counter, &header, &mut datagram, DATA_HEADER);
        self.socket.send(&datagram).unwrap();
    }

    /// Waits until the agent has processed what was sent.
    fn settle(&mut self) {
        self.send(&[Frame::Ping]);
        let mut answer = vec![0; 65_536];
        loop {
            let length = self.socket.recv(&mut answer).expect("an ACK of the PING");
            let Some(opened) = handmade::open(&self.keys, &mut answer[..length]) else {
                continue;
            };
            for frame in crate::wire::Frames::new(opened) {
                if let Ok(Frame::Ack(ack)) = frame
                    && ack.largest >= self.counter
                {
                    return;
                }
            }
        }
    }
}

/// Streams that the flood writes to.
fn streams() -> impl Iterator<Item = StreamId> {
    let lanes = [Lane::Control, Lane::Data];
    (0..64).flat_map(move |call| lanes.map(|lane| StreamId::new(CallId(call), lane)))
}

#[test]
fn a_peer_whose_events_wait_stops_nobody_elses_datagrams() {
    let agent = agent(&["127.0.0.1:0"]);
    let mut peer = RawPeer::connect(agent.address(0));
    // The application takes no event meanwhile. A byte on each stream fills the channel of events.
    for offset in 0..2 * limits::EVENTS as u64 / 128 {
        let frames: Vec<_> = streams()
            .map(|stream| Frame::Stream {
                stream,
                offset,
                fin: false,
                data: b"x",
            })
            .collect();
        peer.send(&frames);
        peer.settle();
    }
    // Each grant of credit is news for it, too.
    for datagram in 0..DATAGRAMS {
        let grants: Vec<_> = (0..FRAMES)
            .map(|frame| Frame::MaxStreamData {
                stream: STREAM,
                consumed: 0,
                max: (1 << 20) + datagram * FRAMES + frame,
            })
            .collect();
        peer.send(&grants);
        if datagram % 16 == 0 {
            peer.settle();
        }
    }
    // Another controller is answered, and its events come in turn.
    let controller = controller();
    let path = controller.path_to(agent.address(0)).unwrap();
    let ours = SessionHandle(1);
    controller.ask(session::Command::Connect(Connect {
        session: ours,
        agent: secret(1).public(),
        path,
        further: Vec::new(),
        ticket: None,
        invite: None,
        first: Bytes::from_static(b"hello\n"),
        timeout: DEADLINE,
    }));
    controller.wait(|event| match event {
        Event::Session(Session::Connected { .. }) => Some(()),
        _ => None,
    });
    let (mut events, mut theirs) = (0, None);
    agent.wait(|event| {
        events += 1;
        match event {
            Event::Session(Session::Accepted { session, key, .. }) => {
                theirs = (key == secret(2).public()).then_some(session);
                None
            }
            Event::Session(Session::Stream {
                session,
                event: StreamEvent::Data { data, .. },
            }) if Some(session) == theirs => {
                assert_eq!(data, "hello\n");
                Some(())
            }
            _ => None,
        }
    });
    assert!(events <= limits::EVENTS + 16, "{events} events came first");
    controller.end();
    agent.end();
}
