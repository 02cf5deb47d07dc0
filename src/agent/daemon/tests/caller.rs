//! A minimal controller.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Deadline};

use bytes::Bytes;

use crate::crypto::{PublicKey, SecretKey};
use crate::message::{Exec, Lines, Outcome, Reply, Request, RequestId, to_line};
use crate::net::{self, Net};
use crate::session::{self, Closed, Command, Connect, Event, Path, SessionHandle, StreamEvent};
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Lane, StreamId};

const SESSION: SessionHandle = SessionHandle(1);

/// Time after which a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// Result of a command.
#[derive(Debug)]
pub struct Report {
    pub outcome: Outcome,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub streams_open: bool,
}

/// A controller with one session.
pub struct Caller {
    net: Net,
    calls: u32,
    lines: BTreeMap<CallId, Lines>,
    bytes: BTreeMap<StreamId, Vec<u8>>,
    pub closed: Option<Closed>,
}

impl Caller {
    /// Opens a session. Its first call is a ping.
    pub fn new(
        identity: SecretKey,
        agent: PublicKey,
        remote: SocketAddr,
        invite: Option<[u8; INVITE]>,
    ) -> Self {
        let config = session::Config::new(identity, None);
        let binds = [SocketAddr::from(([127, 0, 0, 1], 0))];
        let carriers = net::bind_udp(&binds).unwrap().carriers;
        let net = net::start(carriers, config, net::rng().unwrap(), None, None).unwrap();
        let path = Path {
            socket: 0,
            local: None,
            remote: remote.into(),
        };
        let caller = Self {
            net,
            calls: 1,
            lines: BTreeMap::new(),
            bytes: BTreeMap::new(),
            closed: None,
        };
        caller.send(Command::Connect(Connect {
            session: SESSION,
            agent,
            path,
            further: Vec::new(),
            ticket: None,
            invite,
            first: to_line(&Request::Ping {}).into(),
            timeout: Duration::from_secs(3),
        }));
        caller
    }

    fn send(&self, command: Command) {
        self.net
            .handle
            .send(net::Command::Session(command))
            .unwrap();
    }

    pub fn call(&mut self, request: &Request) -> CallId {
        let call = CallId(self.calls);
        self.calls += 1;
        self.write(call, Lane::Control, to_line(request).into(), false);
        call
    }

    pub fn write(&self, call: CallId, lane: Lane, data: Bytes, fin: bool) {
        self.send(Command::Write {
            session: SESSION,
            stream: StreamId::new(call, lane),
            data,
            fin,
        });
    }

    /// Processes events until `done` returns a value.
    pub fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Deadline::now() + DEADLINE;
        loop {
            if let Some(found) = done(self) {
                return found;
            }
            let event = self.net.events.channel().recv_deadline(deadline);
            let event = event.unwrap_or_else(|_| panic!("timeout while waiting for {what}"));
            self.net.events.taken();
            if let net::Event::Session(event) = event {
                self.on_event(event);
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Stream {
                event: StreamEvent::Data { stream, data, .. },
                ..
            } => {
                self.send(Command::Consumed {
                    session: SESSION,
                    stream,
                    bytes: data.len() as u64,
                });
                if stream.lane() == Lane::Control {
                    self.lines.entry(stream.call()).or_default().push(&data);
                } else {
                    self.bytes
                        .entry(stream)
                        .or_default()
                        .extend_from_slice(&data);
                }
            }
            Event::Closed { reason, .. } => self.closed = Some(reason),
            _ => {}
        }
    }

    pub fn reply(&mut self, call: CallId) -> Reply {
        self.until("a reply", |caller| {
            assert_eq!(caller.closed, None);
            caller.lines.entry(call).or_default().next()?.ok()
        })
    }

    pub fn exec(&mut self, exec: Exec) -> CallId {
        self.call(&Request::Exec(exec))
    }

    /// Bytes of stdout received so far.
    pub fn stdout(&mut self, call: CallId) -> &mut Vec<u8> {
        let lane = StreamId::new(call, Lane::Data);
        self.bytes.entry(lane).or_default()
    }

    /// Waits for the result of a command and acknowledges it.
    pub fn report(&mut self, call: CallId) -> Report {
        let (outcome, lengths, streams_open) = loop {
            if let Reply::Exit {
                outcome,
                stdout,
                stderr,
                streams_open,
                ..
            } = self.reply(call)
            {
                break (outcome, [stdout, stderr], streams_open);
            }
        };
        let lanes = [Lane::Data, Lane::Stderr].map(|lane| StreamId::new(call, lane));
        let [stdout, stderr] = [0, 1].map(|index| {
            let (lane, length) = (lanes[index], lengths[index]);
            self.until("the output", |caller| {
                let bytes = caller.bytes.entry(lane).or_default();
                (bytes.len() as u64 == length).then(|| std::mem::take(bytes))
            })
        });
        self.write(call, Lane::Control, Bytes::new(), true);
        Report {
            outcome,
            stdout,
            stderr,
            streams_open,
        }
    }

    pub fn run(&mut self, argv: &[&str]) -> Report {
        let call = self.exec(command(argv));
        self.report(call)
    }
}

/// Returns a request with a random id.
pub fn command(argv: &[&str]) -> Exec {
    let argv = argv.iter().map(|&word| word.into()).collect();
    Exec::new(RequestId(net::rng().unwrap().bytes()), argv)
}
