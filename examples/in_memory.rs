//! An agent and a controller in one process, over a carrier without sockets.
//!
//! `cargo run --example in_memory`
//!
//! Each end has a network thread of its own (`net::start`), which drives the session machine: it drains
//! datagrams and events after every change and sleeps until the next deadline. Another carrier is used in
//! the same way; it implements `net::Carrier`.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use udpagent::crypto::{PublicKey, SecretKey};
use udpagent::net::{self, Command, Event, MemoryCarrier, Net};
use udpagent::peer_addr::PeerAddr;
use udpagent::session::{
    self, Authorization, Authorizer, Config, Connect, Path, SessionHandle, StreamEvent,
};

/// Admits one controller.
struct Only(PublicKey);

impl Authorizer for Only {
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

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = net::rng()?;
    let agent_key = SecretKey::generate(&mut rng);
    let controller_key = SecretKey::generate(&mut rng);
    let agent_public = agent_key.public();

    // Every fourth datagram of the controller is lost; the session repairs that.
    let mut sent = 0;
    let (near, far) = MemoryCarrier::pair()?;
    let near = near.with_loss(move |_| {
        sent += 1;
        sent % 4 == 0
    });
    let path = Path {
        socket: 0,
        local: None,
        remote: near.peer_addr(),
    };

    let config = Config::new(agent_key, Some(Box::new(Only(controller_key.public()))));
    let agent = net::start(vec![Box::new(far)], config, rng.fork(), None, None)?;
    let config = Config::new(controller_key, None);
    let controller = net::start(vec![Box::new(near)], config, rng, None, None)?;

    // The first datagram carries both the handshake and the question.
    let connect = Connect {
        session: SessionHandle(1),
        agent: agent_public,
        path,
        further: Vec::new(),
        ticket: None,
        invite: None,
        first: Bytes::from_static(b"are you there?"),
        timeout: Duration::from_secs(5),
    };
    send(&controller, session::Command::Connect(connect))?;

    let (session, stream, question) = next_data(&agent)?;
    println!("agent: received {question:?}");
    let answer = session::Command::Write {
        session,
        stream,
        data: Bytes::from_static(b"yes"),
        fin: true,
    };
    send(&agent, answer)?;

    let (_, _, answer) = next_data(&controller)?;
    println!("controller: received {answer:?}");
    Ok(())
}

fn send(net: &Net, command: session::Command) -> Result<(), &'static str> {
    let sent = net.handle.send(Command::Session(command));
    sent.map_err(|_| "the network thread has ended")
}

/// Waits for the next bytes of a stream.
fn next_data(
    net: &Net,
) -> Result<(SessionHandle, udpagent::wire::StreamId, Bytes), Box<dyn Error>> {
    for event in net.events.channel() {
        net.events.taken();
        match event {
            Event::Session(session::Event::Stream {
                session,
                event: StreamEvent::Data { stream, data, .. },
            }) => return Ok((session, stream, data)),
            Event::Session(session::Event::Closed { reason, .. }) => {
                return Err(format!("{reason:?}").into());
            }
            _ => {}
        }
    }
    Err("the network thread has ended".into())
}
