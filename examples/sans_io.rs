//! The session layer without a socket, a thread or a clock: an agent and a controller in one
//! process. Time is a number, and datagrams are vectors.
//!
//! `cargo run --example sans_io`

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use udpagent::crypto::{PublicKey, SecretKey};
use udpagent::peer_addr::PeerAddr;
use udpagent::rng::Rng;
use udpagent::session::{
    Authorization, Authorizer, Command, Config, Connect, Endpoint, Event, Path, SessionHandle,
    StreamEvent,
};
use udpagent::time::Instant;
use udpagent::wire::{Lane, StreamId};

/// A policy that admits one controller.
struct OneController(PublicKey);

impl Authorizer for OneController {
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        _: PeerAddr,
        _: Option<&[u8; 16]>,
    ) -> Authorization {
        if *key == self.0 {
            Authorization::UNRESTRICTED
        } else {
            Authorization::Denied
        }
    }
}

fn main() {
    let mut rng = Rng::from_seed([1; 32]);
    let (agent_key, controller_key) =
        (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let agent_public = agent_key.public();
    let mut now = Instant::from_micros(0);

    let policy = Box::new(OneController(controller_key.public()));
    let mut agent = Endpoint::new(Config::new(agent_key, Some(policy)), rng.fork(), now);
    let mut controller = Endpoint::new(Config::new(controller_key, None), rng.fork(), now);

    let path = |remote: &str| Path {
        socket: 0,
        local: None,
        remote: remote
            .parse::<SocketAddr>()
            .expect("a socket address")
            .into(),
    };
    let (agent_path, controller_path) = (path("192.0.2.1:7000"), path("192.0.2.2:4000"));

    controller.apply(
        now,
        Command::Connect(Connect {
            session: SessionHandle(1),
            agent: agent_public,
            path: agent_path,
            further: Vec::new(),
            ticket: None,
            invite: None,
            first: Bytes::from_static(b"are you there?"),
            timeout: Duration::from_secs(5),
        }),
    );

    // Each iteration is half a round trip of 20 ms: drain both endpoints, then deliver.
    for _ in 0..10 {
        let to_agent = drain(&mut controller, now);
        let to_controller = drain(&mut agent, now);
        now += Duration::from_millis(10);
        for mut datagram in to_agent {
            agent.handle_datagram(now, controller_path, None, &mut datagram);
        }
        for mut datagram in to_controller {
            controller.handle_datagram(now, agent_path, None, &mut datagram);
        }
        run_agent(&mut agent, now);
        if run_controller(&mut controller, now) {
            return;
        }
    }
    unreachable!("two round trips suffice");
}

/// The agent's application: answers what it receives.
fn run_agent(agent: &mut Endpoint, now: Instant) {
    while let Some(event) = agent.poll_event() {
        if let Event::Stream {
            session,
            event: StreamEvent::Data { stream, data, .. },
        } = event
        {
            println!("{:>3} ms  agent got {:?}", now.as_micros() / 1000, data);
            let answer = Command::Write {
                session,
                stream,
                data: Bytes::from_static(b"yes"),
                fin: true,
            };
            agent.apply(now, answer);
        }
    }
}

/// The controller's application. Returns true if the answer has come.
fn run_controller(controller: &mut Endpoint, now: Instant) -> bool {
    while let Some(event) = controller.poll_event() {
        if let Event::Stream {
            event: StreamEvent::Data {
                stream, data, fin, ..
            },
            ..
        } = event
        {
            assert_eq!(stream, StreamId::new(stream.call(), Lane::Control));
            println!(
                "{:>3} ms  controller got {:?}, the end: {fin}",
                now.as_micros() / 1000,
                data
            );
            return true;
        }
    }
    false
}

/// Returns all datagrams that an endpoint has to send.
fn drain(endpoint: &mut Endpoint, now: Instant) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let mut buf = Vec::new();
    while endpoint.poll_transmit(now, &mut buf).is_some() {
        datagrams.push(buf.clone());
    }
    datagrams
}
