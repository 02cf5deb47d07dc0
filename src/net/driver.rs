//! The network thread: takes turns between sockets, commands, the machine's timers and its datagrams.
//!
//! A turn is bounded in each of these, so none starves the others; when something is left over the
//! next turn follows at once, otherwise the thread sleeps until a socket, a command or the machine's
//! next deadline wakes it. Invariant: it blocks nowhere else, and an idle thread is never woken.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use mio::{Interest, Poll, Registry, Token};

use super::event_queue::EventQueue;
use super::handle::{PlainSink, Shared};
use super::plain::Plain;
use super::timer::Timer;
use super::udp::{Inbox, Outgoing, Received, Sent, Socket, ecn_from_system};
use super::{Clock, Command, Event, limits};
use crate::rng::Rng;
use crate::session::{self, Endpoint, Path, Transmit};
use crate::time::Instant;
use crate::wire;

/// Another thread's knock.
pub(super) const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);

/// A socket and what is known of its readiness, which is edge-triggered.
struct BoundSocket {
    socket: Socket,
    number: u16,
    /// A transmit waits until it is writable.
    blocked: bool,
    /// It may hold datagrams.
    readable: bool,
    /// Errors since the last datagram.
    errors: u32,
    failed: bool,
}

impl BoundSocket {
    fn set_blocked(&mut self, registry: &Registry, blocked: bool) {
        let interest = if blocked {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let token = Token(usize::from(self.number));
        let registered = registry.reregister(&mut self.socket.io, token, interest);
        // Unregistered nothing would ever unblock it; trying again at every turn is the lesser evil.
        self.blocked = blocked && registered.is_ok();
    }
}

/// What follows a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Something was left over.
    Turn,
    /// Nothing to do.
    Sleep,
    /// The thread ends.
    End,
}

/// The thread's possessions.
pub(super) struct Driver {
    poll: Poll,
    ports: Vec<BoundSocket>,
    endpoint: Endpoint,
    timer: Timer,
    commands: Receiver<Command>,
    event_queue: EventQueue,
    plain: Plain,
    shared: Arc<Shared>,
    inbox: Inbox,
    /// What is being sent, and its datagrams.
    outgoing: Option<Outgoing>,
    buffer: Vec<u8>,
}

impl Driver {
    pub(super) fn new(
        poll: Poll,
        sockets: Vec<Socket>,
        (config, rng): (session::Config, Rng),
        commands: Receiver<Command>,
        event_queue: EventQueue,
        plain: Option<Box<dyn PlainSink>>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let mut ports = Vec::new();
        for (number, mut socket) in (0..).zip(sockets) {
            // Writable only while a transmit waits: else every datagram that leaves wakes the thread.
            let token = Token(usize::from(number));
            poll.registry()
                .register(&mut socket.io, token, Interest::READABLE)?;
            ports.push(BoundSocket {
                socket,
                number,
                blocked: false,
                readable: true,
                errors: 0,
                failed: false,
            });
        }
        let timer = Timer::new(poll.registry(), TIMER)?;
        Ok(Self {
            poll,
            ports,
            endpoint: Endpoint::new(config, rng, Clock.now()),
            timer,
            commands,
            event_queue,
            plain: Plain::new(plain),
            shared,
            inbox: Inbox::new(),
            outgoing: None,
            buffer: Vec::new(),
        })
    }

    /// Runs until told to end.
    pub(super) fn run(mut self) {
        let mut ready = mio::Events::with_capacity(16);
        loop {
            match self.turn() {
                Next::End => break,
                Next::Turn => self.poll_ready(&mut ready, Some(Duration::ZERO)),
                Next::Sleep => self.sleep(&mut ready),
            }
        }
        self.send_the_last();
    }

    fn turn(&mut self) -> Next {
        let mut more = false;
        for number in 0..self.ports.len() {
            more |= self.receive(number);
        }
        let next = self.take_commands();
        let now = Clock.now();
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        more |= self.transmit(limits::TRANSMITS_PER_TURN);
        while let Some(event) = self.endpoint.poll_event() {
            self.event_queue.push(Event::Session(event));
        }
        if let Some(datagrams) = self.plain.due(now) {
            self.event_queue.push(Event::Suppressed { datagrams });
        }
        self.event_queue.flush(&self.shared);
        if next == Next::Sleep && more {
            Next::Turn
        } else {
            next
        }
    }

    /// Sleeps until there is something to do.
    fn sleep(&mut self, ready: &mut mio::Events) {
        let deadlines = [self.endpoint.poll_timeout(), self.plain.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let now = Clock.now();
        let mut timeout = None;
        if deadline.is_some_and(|at| at <= now) {
            timeout = Some(Duration::ZERO);
        } else if self.timer.set(now, deadline).is_err() {
            // Without the alarm the poll's own, coarser timeout serves.
            timeout = deadline.map(|at| at.since(now));
        }
        self.shared.fall_asleep();
        if !self.commands.is_empty() || self.shared.abandoned() {
            timeout = Some(Duration::ZERO);
        }
        self.poll_ready(ready, timeout);
        self.shared.awake();
    }

    /// Asks the system what is ready.
    fn poll_ready(&mut self, ready: &mut mio::Events, timeout: Option<Duration>) {
        match self.poll.poll(ready, timeout) {
            Ok(()) => {}
            // By a signal: nothing is lost, the next poll_ready sees it.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => fail("cannot wait for datagrams", &error),
        }
        for event in ready.iter() {
            if let Some(port) = self.ports.get_mut(event.token().0) {
                port.readable |= event.is_readable() || event.is_error();
                if port.blocked && (event.is_writable() || event.is_error()) {
                    port.set_blocked(self.poll.registry(), false);
                }
            }
        }
    }

    /// Whether the port may hold more.
    fn receive(&mut self, number: usize) -> bool {
        let Some(port) = self.ports.get_mut(number) else {
            return false;
        };
        for _ in 0..limits::RECEIVES_PER_TURN {
            // What is not taken stays in the kernel, which drops what it has no room for.
            if !port.readable || self.event_queue.is_full() {
                return false;
            }
            match port.socket.receive(&mut self.inbox) {
                Ok(count) => {
                    port.errors = 0;
                    // Fewer than there was room for: it is empty, and what comes now is a new edge.
                    port.readable = count == limits::RECEIVE_BATCH;
                    let now = Clock.now();
                    for received in self.inbox.received(count) {
                        demux(
                            now,
                            port.number,
                            received,
                            &mut self.endpoint,
                            &mut self.plain,
                            &mut self.event_queue,
                        );
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    port.readable = false;
                    return false;
                }
                Err(error) => {
                    port.errors += 1;
                    if port.errors >= limits::RECEIVE_ERRORS {
                        port.readable = false;
                        port.failed = true;
                        let _ = self.poll.registry().deregister(&mut port.socket.io);
                        let address = port.socket.address;
                        if self.ports.iter().all(|port| port.failed) {
                            fail(&format!("the last socket has failed, {address}"), &error);
                        }
                        self.event_queue.push(Event::Failed {
                            address,
                            error: error.to_string(),
                        });
                        return false;
                    }
                }
            }
        }
        true
    }

    fn take_commands(&mut self) -> Next {
        let now = Clock.now();
        for _ in 0..limits::COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(Command::Session(command)) => self.endpoint.apply(now, command),
                Ok(Command::Plain { path, text }) => self.send_plain(path, &text),
                Ok(Command::Shutdown) | Err(TryRecvError::Disconnected) => return Next::End,
                Err(TryRecvError::Empty) => return Next::Sleep,
            }
        }
        Next::Turn
    }

    /// A bare datagram is sent now or never: nobody would notice that it comes late, or not at all.
    fn send_plain(&mut self, path: Path, text: &[u8]) {
        self.flush_outgoing();
        let sendable = !text.is_empty() && !text.starts_with(&wire::TAG);
        if self.outgoing.is_some() || !sendable {
            self.shared.count_unsent(1);
            return;
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(text);
        self.begin(Transmit {
            path,
            segment: None,
            ecn: None,
        });
    }

    /// Whether there may be more to send at once.
    fn transmit(&mut self, at_most: usize) -> bool {
        for _ in 0..at_most {
            self.flush_outgoing();
            if self.outgoing.is_some() {
                // Blocked: the socket's readiness brings the next turn.
                return false;
            }
            let Some(transmit) = self.endpoint.poll_transmit(Clock.now(), &mut self.buffer) else {
                return false;
            };
            self.begin(transmit);
        }
        true
    }

    fn begin(&mut self, transmit: Transmit) {
        self.outgoing = Some(Outgoing { transmit, done: 0 });
        self.flush_outgoing();
    }

    fn flush_outgoing(&mut self) {
        let Some(outgoing) = &mut self.outgoing else {
            return;
        };
        let number = usize::from(outgoing.transmit.path.socket);
        let Some(port) = self.ports.get_mut(number).filter(|port| !port.failed) else {
            self.shared.count_unsent(1);
            self.outgoing = None;
            return;
        };
        if port.blocked {
            return;
        }
        match port.socket.send(outgoing, &self.buffer) {
            Sent::Whole { lost } => {
                if lost > 0 {
                    self.shared.count_unsent(lost);
                }
                self.outgoing = None;
            }
            Sent::Blocked => port.set_blocked(self.poll.registry(), true),
        }
    }

    /// Sends what is due, for a moment: what a full socket cannot take then is lost.
    fn send_the_last(&mut self) {
        let until = Clock.now() + limits::LAST_DATAGRAMS;
        let mut ready = mio::Events::with_capacity(16);
        while Clock.now() < until {
            let more = self.transmit(limits::TRANSMITS_PER_TURN);
            if self.outgoing.is_none() && !more {
                return;
            }
            let timeout = Duration::from_millis(u64::from(!more));
            self.poll_ready(&mut ready, Some(timeout));
        }
    }
}

/// The thread cannot do its work any more. A program ends then, as by any panic of a thread.
fn fail(what: &str, error: &io::Error) -> ! {
    panic!("{what}: {error}")
}

/// What one receive brought: tagged datagrams for the machine, the rest for the plain-text gate.
fn demux(
    now: Instant,
    socket: u16,
    mut received: Received<'_>,
    endpoint: &mut Endpoint,
    plain: &mut Plain,
    event_queue: &mut EventQueue,
) {
    let path = Path {
        socket,
        local: received.meta.dst_ip,
        remote: received.meta.addr.into(),
    };
    if received.meta.addr.port() == 0 {
        // Nobody listens there; sendmsg would say EINVAL to every answer.
        return;
    }
    let ecn = received.meta.ecn.map(ecn_from_system);
    for datagram in received.datagrams() {
        if datagram.starts_with(&wire::TAG) {
            endpoint.handle_datagram(now, path, ecn, datagram);
        } else if let Some(event) = plain.admit(now, path, datagram, event_queue.is_congested()) {
            event_queue.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use crossbeam_channel::bounded;

    use super::*;
    use crate::crypto::SecretKey;

    /// A socket that the system refuses to receive from.
    fn broken() -> Socket {
        let mut socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (pipe, _writer) = rustix::pipe::pipe().unwrap();
        socket.io = mio::net::UdpSocket::from_std(std::net::UdpSocket::from(pipe));
        socket
    }

    #[test]
    fn a_thread_without_a_socket_fails_instead_of_going_on_deaf() {
        let poll = Poll::new().unwrap();
        let shared = Arc::new(Shared::new(poll.registry()).unwrap());
        let identity = SecretKey::generate(&mut Rng::from_seed([1; 32]));
        let config = session::Config::new(identity, None);
        let (_commands, commands) = bounded(1);
        let (events, _events) = bounded(1);
        let thread = Driver::new(
            poll,
            vec![broken(), broken()],
            (config, Rng::from_seed([2; 32])),
            commands,
            EventQueue::new(events, None),
            None,
            shared,
        )
        .unwrap();
        let failed = std::thread::spawn(move || thread.run()).join().unwrap_err();
        let message = failed.downcast::<String>().unwrap();
        assert!(
            message.starts_with("the last socket has failed, 127.0.0.1:"),
            "{message}"
        );
    }
}
