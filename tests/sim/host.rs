//! A host: one endpoint, its application, and the driver between them, which keeps the contract of
//! the machine to the letter and no better.
//!
//! After every call that changes something, transmits and events are drained until both are empty;
//! then it sleeps until `poll_timeout`. A timeout that lies in the past again and again without
//! anything coming of it is a busy loop, and fails the run.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use udpagent::session::{Command, Endpoint, Event, Path};
use udpagent::time::Instant;

use crate::contract::Contract;
use crate::invariants::{Flow, Incarnation, Invariants};
use crate::network::{Arrival, HostId, Network, Outgoing};

/// What the machine is driven for: takes events, gives commands. Sans-IO like the machine.
pub trait App {
    /// Something happened.
    fn on_event(&mut self, now: Instant, event: Event, out: &mut Vec<Command>);

    /// The time that `next_time` named has come. Harmless when nothing is due.
    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        let _ = (now, out);
    }

    /// What it reads and has not read to the end, where the writer is willing too.
    fn flows(&self) -> Vec<Flow> {
        Vec::new()
    }

    /// When `on_time` should be called at the latest.
    fn next_time(&self) -> Option<Instant> {
        None
    }
}

/// How often a host was woken, and for what.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wakes {
    /// By its own timer.
    pub timer: u64,
    /// Of these, those from which neither a datagram nor an event came.
    pub idle: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
}

/// A timer may find nothing to do: a deadline that was moved is allowed to stand in a heap once
/// more. This many in a row at one instant is a loop.
const MAX_IDLE_WAKES: u32 = 3;

/// Rounds of draining after one call. Pacing ends a burst long before.
const MAX_DRAIN_ROUNDS: u32 = 10_000;

/// The machinery of one life of a host.
pub struct Host {
    id: HostId,
    incarnation: Incarnation,
    /// Where it is reachable; the first is used where the machine leaves the choice.
    addresses: Vec<SocketAddr>,
    endpoint: Endpoint,
    contract: Contract,
    /// What this host's clock showed when the world's was at zero.
    clock: Duration,
    wakes: Wakes,
    stuck: (Instant, u32),
    buffer: Vec<u8>,
    commands: Vec<Command>,
}

/// What a host is made of.
pub struct HostConfig {
    /// Its place in the world.
    pub id: HostId,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// Where it is reachable.
    pub addresses: Vec<SocketAddr>,
    /// The machine.
    pub endpoint: Endpoint,
    /// Its windows.
    pub contract: Contract,
    /// What its clock shows when the world's is at zero.
    pub clock: Duration,
}

/// What a host needs of the world while it acts.
pub struct Context<'a> {
    /// The world's time.
    pub now: Instant,
    /// Where its datagrams go.
    pub network: &'a mut Network,
    /// Who watches.
    pub invariants: &'a mut Invariants,
    /// For whom it acts.
    pub app: &'a mut dyn App,
}

impl Host {
    /// A host that has done nothing yet.
    pub fn new(parts: HostConfig) -> Self {
        Self {
            id: parts.id,
            incarnation: parts.incarnation,
            addresses: parts.addresses,
            endpoint: parts.endpoint,
            contract: parts.contract,
            clock: parts.clock,
            wakes: Wakes::default(),
            stuck: (Instant::ZERO, 0),
            buffer: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Which life of the host this is.
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// It has one more address.
    pub fn add_address(&mut self, address: SocketAddr) {
        self.addresses.push(address);
    }

    /// How often it was woken.
    pub const fn wakes(&self) -> Wakes {
        self.wakes
    }

    /// The machine, to be looked at.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The most bytes that ever waited for the application in one session.
    pub const fn most_unread(&self) -> u64 {
        self.contract.most_unread
    }

    /// When the machine wants to be woken, in the world's time.
    pub fn wake(&mut self) -> Option<Instant> {
        self.endpoint.poll_timeout().map(|at| at - self.clock)
    }

    /// What this host's clock shows.
    pub fn local(&self, now: Instant) -> Instant {
        now + self.clock
    }

    /// Datagrams have arrived together.
    pub fn receive(&mut self, context: &mut Context<'_>, arrivals: Vec<Arrival>) {
        let now = self.local(context.now);
        for mut arrival in arrivals {
            self.wakes.received += 1;
            let path = Path {
                socket: 0,
                local: Some(arrival.to.ip()),
                remote: arrival.from.into(),
            };
            self.endpoint
                .handle_datagram(now, path, arrival.ecn, &mut arrival.bytes);
        }
        self.drain(context);
    }

    /// The machine's own time has come.
    pub fn time_out(&mut self, context: &mut Context<'_>) {
        self.wakes.timer += 1;
        self.endpoint.handle_timeout(self.local(context.now));
        if self.drain(context) {
            self.stuck.1 = 0;
            return;
        }
        self.wakes.idle += 1;
        let next = self.wake();
        let again = next.is_some_and(|at| at <= context.now);
        if !again || self.stuck.0 != context.now {
            self.stuck = (context.now, 0);
        }
        self.stuck.1 += u32::from(again);
        assert!(
            self.stuck.1 < MAX_IDLE_WAKES,
            "busy loop: {:?} wants to be woken at {next:?}, which is not after {:?}, and does nothing",
            self.id,
            context.now
        );
    }

    /// The application's time has come, or a story has something done.
    pub fn act(&mut self, context: &mut Context<'_>, commands: Vec<Command>) {
        let now = self.local(context.now);
        self.commands.extend(commands);
        self.apply(context);
        if context.app.next_time().is_some_and(|at| at <= now) {
            context.app.on_time(now, &mut self.commands);
            self.apply(context);
        }
        self.drain(context);
    }

    /// Returns whether anything came out.
    fn drain(&mut self, context: &mut Context<'_>) -> bool {
        let now = self.local(context.now);
        for round in 0..MAX_DRAIN_ROUNDS {
            let mut moved = false;
            while self.transmit(context) {
                moved = true;
            }
            while let Some(event) = self.endpoint.poll_event() {
                moved = true;
                self.contract.on_event(&event);
                context.app.on_event(now, event, &mut self.commands);
                self.apply(context);
            }
            if !moved {
                return round > 0;
            }
        }
        panic!("{:?} never has enough of sending and telling", self.id);
    }

    fn apply(&mut self, context: &mut Context<'_>) {
        let now = self.local(context.now);
        for command in self.commands.drain(..) {
            if let Command::Connect(connect) = &command {
                context
                    .invariants
                    .allow_target(self.incarnation, socket_addr(connect.path));
            }
            self.contract.on_command(&command);
            self.endpoint.apply(now, command);
        }
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> bool {
        let now = self.local(context.now);
        let Some(transmit) = self.endpoint.poll_transmit(now, &mut self.buffer) else {
            return false;
        };
        assert!(!self.buffer.is_empty(), "an empty transmit");
        let to = socket_addr(transmit.path);
        let segment = transmit.segment.unwrap_or(self.buffer.len());
        let from = self.source(transmit.path.local);
        for bytes in self.buffer.chunks(segment) {
            self.wakes.sent += 1;
            let emission = context.invariants.on_send(self.incarnation, to, bytes);
            let out = Outgoing {
                from,
                to,
                ecn: transmit.ecn,
                bytes,
                emission: Some(emission),
            };
            context.network.send(context.now, Some(self.id), out);
        }
        true
    }

    fn source(&self, local: Option<IpAddr>) -> SocketAddr {
        let Some(ip) = local else {
            return self.addresses[0];
        };
        *self
            .addresses
            .iter()
            .find(|address| address.ip() == ip)
            .unwrap_or_else(|| panic!("{:?} sends from {ip}, which it does not have", self.id))
    }
}

/// The peer's address: this network has no others than socket addresses.
fn socket_addr(path: Path) -> SocketAddr {
    let address = path.remote.socket_addr();
    address.expect("the network makes socket addresses only")
}
