//! A host: one endpoint, its application, and the driver between them, which does exactly what the
//! contract of the session machine demands and no more.
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

/// An application above the endpoint: takes events, returns commands. Sans-IO like the endpoint.
pub trait App {
    /// Handles an event of the endpoint.
    fn on_event(&mut self, now: Instant, event: Event, out: &mut Vec<Command>);

    /// Handles the deadline that `next_time` returned. Harmless if nothing is due.
    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        let _ = (now, out);
    }

    /// Streams that the application reads and that are not complete, while their writer is willing.
    fn flows(&self) -> Vec<Flow> {
        Vec::new()
    }

    /// The deadline for the next call of `on_time`.
    fn next_time(&self) -> Option<Instant> {
        None
    }
}

/// Counts of a host's wake-ups and datagrams.
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

/// One incarnation of a host.
pub struct Host {
    id: HostId,
    incarnation: Incarnation,
    /// Its addresses. The first is used if the endpoint leaves the choice.
    addresses: Vec<SocketAddr>,
    endpoint: Endpoint,
    contract: Contract,
    /// Offset of the host's clock from virtual time.
    clock: Duration,
    wakes: Wakes,
    stuck: (Instant, u32),
    buffer: Vec<u8>,
    commands: Vec<Command>,
}

/// Settings of a host.
pub struct HostConfig {
    /// Its index.
    pub id: HostId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its addresses.
    pub addresses: Vec<SocketAddr>,
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// Its windows.
    pub contract: Contract,
    /// Offset of its clock from virtual time.
    pub clock: Duration,
}

/// The parts of the simulation that a host uses while it acts.
pub struct Context<'a> {
    /// Virtual time.
    pub now: Instant,
    /// The network that takes its datagrams.
    pub network: &'a mut Network,
    /// The checks of its datagrams.
    pub invariants: &'a mut Invariants,
    /// Its application.
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

    /// The incarnation of the host.
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Adds an address.
    pub fn add_address(&mut self, address: SocketAddr) {
        self.addresses.push(address);
    }

    /// Counts of its wake-ups and datagrams.
    pub const fn wakes(&self) -> Wakes {
        self.wakes
    }

    /// The endpoint, for inspection.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The most bytes that ever waited for the application in one session.
    pub const fn most_unread(&self) -> u64 {
        self.contract.most_unread
    }

    /// The endpoint's next timeout, in virtual time.
    pub fn wake(&mut self) -> Option<Instant> {
        self.endpoint.poll_timeout().map(|at| at - self.clock)
    }

    /// The time by the host's own clock.
    pub fn local(&self, now: Instant) -> Instant {
        now + self.clock
    }

    /// Handles datagrams that have arrived together.
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

    /// Handles a timeout of the endpoint.
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

    /// Runs the application's timer if it is due, and commands of the scenario.
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

    /// Returns true if anything came out.
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
        panic!("{:?} sends and reports without end", self.id);
    }

    fn apply(&mut self, context: &mut Context<'_>) {
        let now = self.local(context.now);
        for command in self.commands.drain(..) {
            if let Command::Connect(connect) = &command {
                for &path in std::iter::once(&connect.path).chain(&connect.further) {
                    context
                        .invariants
                        .allow_target(self.incarnation, socket_addr(path));
                }
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
