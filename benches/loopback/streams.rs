//! A receiver of many streams in one session: commands whose output it counts and discards.
//!
//! `udpctl` gives each command a session of its own; this is what the transport does with many streams in one. The bench
//! starts itself as this receiver, as another process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use udpagent::crypto::{PublicKey, key_file};
use udpagent::message::{Exec, Request, RequestId, to_line};
use udpagent::net::{self, Net};
use udpagent::session::{self, Command, Connect, Event, Path as Route, SessionHandle, StreamEvent};
use udpagent::wire::{CallId, Lane, StreamId};

/// First argument of the receiver.
pub const RECEIVE: &str = "receive-streams";

const SESSION: SessionHandle = SessionHandle(1);

/// Time for the agent to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Receives `streams` outputs of `bytes` bytes each. Arguments: both numbers, the agent's address and key, the file of
/// the own key, the command that writes the bytes.
///
/// # Panics
/// Something is not as expected.
pub fn receive(arguments: &[String]) {
    let [streams, bytes, address, agent, identity, argv @ ..] = arguments else {
        panic!("five arguments and a command");
    };
    let streams: u32 = streams.parse().expect("a number");
    let bytes: u64 = bytes.parse().expect("a number");
    let remote: SocketAddr = address.parse().expect("an address");
    let agent: PublicKey = agent.parse().expect("a key");
    let identity = key_file::load(Path::new(identity)).expect("a key file");
    let carriers = net::bind_udp(&[SocketAddr::from(([127, 0, 0, 1], 0))]).expect("a free port");
    let mut rng = net::rng().expect("random numbers");
    let config = session::Config::new(identity, None);
    let net = net::start(carriers.carriers, config, rng.fork(), None, None).expect("a thread");
    let mut request = || {
        let argv = argv.iter().map(|word| word.as_str().into()).collect();
        let exec = Exec::new(RequestId(rng.bytes()), argv);
        Bytes::from(to_line(&Request::Exec(exec)))
    };
    send(
        &net,
        Command::Connect(Connect {
            session: SESSION,
            agent,
            path: Route {
                socket: 0,
                local: None,
                remote: remote.into(),
            },
            further: Vec::new(),
            ticket: None,
            invite: None,
            first: request(),
            timeout: TIMEOUT,
        }),
    );
    for call in 1..streams {
        let stream = StreamId::new(CallId(call), Lane::Control);
        write(&net, stream, request(), false);
    }
    await_outputs(&net, streams, bytes);
}

/// Waits for all outputs, and gives credit for what has come.
fn await_outputs(net: &Net, streams: u32, bytes: u64) {
    let mut received = vec![0; streams as usize];
    let mut missing = streams;
    while missing > 0 {
        let event = net
            .events
            .channel()
            .recv_timeout(TIMEOUT)
            .expect("the agent sends on");
        net.events.taken();
        match event {
            net::Event::Session(Event::Stream {
                event: StreamEvent::Data { stream, data, .. },
                ..
            }) => {
                let length = data.len() as u64;
                send(
                    net,
                    Command::Consumed {
                        session: SESSION,
                        stream,
                        bytes: length,
                    },
                );
                if stream.lane() != Lane::Data {
                    continue;
                }
                let got = &mut received[stream.call().0 as usize];
                *got += length;
                assert!(*got <= bytes, "more than the command wrote");
                if *got == bytes {
                    missing -= 1;
                    write(
                        net,
                        StreamId::new(stream.call(), Lane::Control),
                        Bytes::new(),
                        true,
                    );
                }
            }
            net::Event::Session(Event::Closed { reason, .. }) => panic!("closed: {reason:?}"),
            _ => {}
        }
    }
}

fn write(net: &Net, stream: StreamId, data: Bytes, fin: bool) {
    send(
        net,
        Command::Write {
            session: SESSION,
            stream,
            data,
            fin,
        },
    );
}

fn send(net: &Net, command: Command) {
    let sent = net.handle.send(net::Command::Session(command));
    sent.expect("the thread runs");
}
