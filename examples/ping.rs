//! A ping of a running agent over a real socket, with the library alone.
//!
//! `cargo run --example ping -- 127.0.0.1:7000 KEY`, where KEY is the output of `udpagent key`. The
//! controller identity is read from the file named by `UDPCTL_IDENTITY`; without it, a new one is
//! made in memory. An agent that does not know the identity does not answer.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use udpagent::crypto::{PublicKey, SecretKey, key_file};
use udpagent::message::{Lines, Reply, Request, to_line};
use udpagent::net::{self, Command, Event};
use udpagent::session::{self, Connect, Path, SessionHandle};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: ping ADDRESS:PORT KEY";
    let remote: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    let agent: PublicKey = arguments
        .next()
        .ok_or(usage)?
        .parse()
        .map_err(|error| format!("{error:?}"))?;

    let mut rng = net::rng()?;
    let identity = match std::env::var_os("UDPCTL_IDENTITY") {
        Some(path) => key_file::load(path.as_ref())?,
        None => SecretKey::generate(&mut rng),
    };
    let any: SocketAddr = if remote.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    }
    .parse()?;
    let net = net::start(
        net::bind_udp(&[any])?.carriers,
        session::Config::new(identity, None),
        rng,
        None,
        None,
    )?;

    let connect = Connect {
        session: SessionHandle(1),
        agent,
        path: Path {
            socket: 0,
            local: None,
            remote: remote.into(),
        },
        further: Vec::new(),
        ticket: None,
        invite: None,
        first: to_line(&Request::Ping {}).into(),
        timeout: Duration::from_secs(3),
    };
    net.handle
        .send(Command::Session(session::Command::Connect(connect)))
        .map_err(|_| "the network thread has ended")?;

    let mut lines = Lines::default();
    for event in net.events.channel() {
        net.events.taken();
        let Event::Session(event) = event else {
            continue;
        };
        if let session::Event::Stream {
            event: session::StreamEvent::Data { data, .. },
            ..
        } = event
        {
            lines.push(&data);
            if let Some(reply) = lines.next::<Reply>() {
                println!("{:?}", reply.map_err(|error| format!("{error:?}"))?);
                return Ok(());
            }
        } else if let session::Event::Closed { reason, .. } = event {
            return Err(format!("{reason:?}").into());
        }
    }
    Err("the network thread has ended".into())
}
