//! The simulation: virtual time, hosts, the network between them, and the invariants.
//!
//! One loop: the next thing that happens (an arrival, a timer of a machine, a timer of an
//! application) sets the time, and one host acts. Between two such moments nothing exists.

use std::net::SocketAddr;
use std::time::Duration;

use udpagent::crypto::{PublicKey, SecretKey};
use udpagent::session::{Authorizer, Command, Config, Endpoint, InitFingerprint, Run};
use udpagent::time::Instant;
use udpagent::wire::limits::MAX_DATAGRAM;

use crate::contract::Contract;
use crate::host::{App, Context, Host, HostConfig, Wakes};
use crate::invariants::{Incarnation, Invariants, Role};
use crate::link::Link;
use crate::network::{Arrival, HostId, Network, Outgoing, Record};
use crate::nodes::{Members, Tuning};
use crate::rng::{SimRng, seeded_rng};
use crate::timers::Timers;

/// State of a host that survives restarts.
struct Node {
    role: Role,
    identity: SecretKey,
    addresses: Vec<SocketAddr>,
    clock: Duration,
    tuning: Tuning,
    app: Box<dyn App>,
    host: Option<Host>,
    /// End of the suspension, during which datagrams are lost and only the clock runs.
    asleep: Instant,
    /// Start of its run, by its own clock.
    started: Instant,
    /// Its run, while it has no endpoint until a datagram arrives.
    unloaded: Option<Run>,
}

/// A simulated network of hosts.
pub struct Simulation {
    seed: u64,
    now: Instant,
    /// The links.
    pub network: Network,
    /// Checks of every datagram.
    pub invariants: Invariants,
    /// Random choices of the scenario.
    pub rng: SimRng,
    /// Settings of hosts that are created from now on.
    pub tuning: Tuning,
    /// Maximum delay of a timer, as on a busy machine.
    pub lateness: Duration,
    /// Maximum time without progress of a stream with a willing writer and a willing reader; `None`: not checked.
    pub stall_timeout: Option<Duration>,
    lateness_rng: SimRng,
    members: Members,
    nodes: Vec<Node>,
    timers: Timers,
}

impl Simulation {
    /// Creates a simulation without hosts. All links are `link` until changed.
    pub fn new(seed: u64, link: Link) -> Self {
        Self {
            seed,
            now: Instant::from_micros(1_000_000),
            network: Network::new(seed, link),
            invariants: Invariants::default(),
            rng: SimRng::new(seed, "scenario"),
            tuning: Tuning::default(),
            lateness: Duration::ZERO,
            stall_timeout: None,
            lateness_rng: SimRng::new(seed, "lateness"),
            members: Members::default(),
            nodes: Vec::new(),
            timers: Timers::default(),
        }
    }

    /// The virtual time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Adds a host with any application.
    pub fn add_host(&mut self, role: Role, app: Box<dyn App>) -> (HostId, PublicKey, SocketAddr) {
        let number = self.nodes.len();
        let host = HostId(number);
        let identity =
            SecretKey::generate(&mut seeded_rng(self.seed, &format!("identity {number}")));
        let key = identity.public();
        let address = match role {
            Role::Agent => format!("192.0.{}.{}:7000", number / 250, number % 250 + 1),
            Role::Controller | Role::Unauthorized => {
                format!("198.51.{}.{}:40000", number / 250, number % 250 + 1)
            }
        };
        let address = address.parse().expect("an address");
        if role == Role::Controller {
            self.members.add(key);
        }
        self.network.attach(host, address);
        let clock = SimRng::new(self.seed, &format!("clock {number}"))
            .duration_below(Duration::from_secs(864_000));
        self.nodes.push(Node {
            role,
            identity,
            addresses: vec![address],
            clock,
            tuning: self.tuning,
            app,
            host: None,
            asleep: Instant::ZERO,
            started: Instant::ZERO,
            unloaded: None,
        });
        self.start(host, Vec::new());
        (host, key, address)
    }

    /// Keys that the agents authorise.
    pub fn members(&self) -> Members {
        self.members.clone()
    }

    /// Gives a host one more address.
    pub fn add_address(&mut self, host: HostId, address: SocketAddr) {
        self.network.attach(host, address);
        let node = &mut self.nodes[host.0];
        node.addresses.push(address);
        if let Some(host) = &mut node.host {
            host.add_address(address);
        }
    }

    /// Starts a host's process, in place of its predecessor if there was one.
    pub fn start(&mut self, id: HostId, seen: Vec<InitFingerprint>) {
        self.start_with(id, |config| config.seen = seen);
    }

    /// Starts a host's process with a changed configuration.
    pub fn start_with(&mut self, id: HostId, change: impl FnOnce(&mut Config)) {
        let node = &mut self.nodes[id.0];
        let incarnation = self.invariants.start_host(id, node.role);
        let authorizer: Option<Box<dyn Authorizer>> = match node.role {
            Role::Agent => Some(Box::new(self.members.clone())),
            Role::Controller | Role::Unauthorized => None,
        };
        let mut config = Config::new(node.identity.clone(), authorizer);
        config.max_datagram = MAX_DATAGRAM;
        node.tuning.apply(&mut config);
        change(&mut config);
        for reset in &config.resets {
            self.invariants.allow_reset(incarnation, reset.path);
        }
        node.unloaded = None;
        node.started = config
            .run
            .as_ref()
            .map_or(self.now + node.clock, |run| run.start);
        let random = seeded_rng(self.seed, &format!("endpoint {incarnation:?}"));
        node.host = Some(Host::new(HostConfig {
            id,
            incarnation,
            addresses: node.addresses.clone(),
            contract: Contract::new(&config),
            endpoint: Endpoint::new(config, random, self.now + node.clock),
            clock: node.clock,
        }));
        self.plan(id);
    }

    /// Stops a host's process.
    pub fn stop(&mut self, id: HostId) {
        self.nodes[id.0].host = None;
        self.nodes[id.0].unloaded = None;
        self.timers.set(id, None);
    }

    /// Frees the endpoint of a host: those of ten thousand idle agents take more than a gigabyte. The next datagram to it
    /// makes another one, which continues the run as if it had been idle.
    ///
    /// # Panics
    /// If it has sessions.
    pub fn unload(&mut self, id: HostId, run: Run) {
        assert_eq!(self.endpoint(id).sessions(), 0, "sessions are lost");
        self.stop(id);
        self.nodes[id.0].unloaded = Some(run);
    }

    /// Suspends the host. Its clock keeps running.
    pub fn sleep(&mut self, host: HostId, time: Duration) {
        self.nodes[host.0].asleep = self.now + time;
        self.plan(host);
    }

    /// The current incarnation of a running host.
    pub fn incarnation(&self, host: HostId) -> Incarnation {
        self.host(host).incarnation()
    }

    /// The endpoint of a running host.
    pub fn endpoint(&self, host: HostId) -> &Endpoint {
        self.host(host).endpoint()
    }

    /// Start of the host's run, by its own clock.
    pub fn started(&self, host: HostId) -> Instant {
        self.nodes[host.0].started
    }

    /// Counts of the host's wake-ups.
    pub fn wakes(&self, host: HostId) -> Wakes {
        self.host(host).wakes()
    }

    /// True if a host has an endpoint.
    pub fn is_loaded(&self, host: HostId) -> bool {
        self.nodes[host.0].host.is_some()
    }

    /// A running host.
    pub fn host(&self, host: HostId) -> &Host {
        self.nodes[host.0].host.as_ref().expect("the host runs")
    }

    /// The time by the host's own clock.
    pub fn local(&self, host: HostId) -> Instant {
        self.now + self.nodes[host.0].clock
    }

    /// Applies commands to a host's endpoint.
    pub fn act(&mut self, host: HostId, commands: Vec<Command>) {
        self.with_host(host, |host, context| host.act(context, commands));
    }

    /// Sends a datagram that no host sent, from a spoofed address.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let out = Outgoing {
            from,
            to,
            ecn: None,
            bytes,
            emission: None,
        };
        self.network.send(self.now, None, out);
    }

    /// Sends a copy of an observed datagram from another address, as an on-path attacker can.
    pub fn forward(&mut self, record: &Record, from: SocketAddr) {
        let out = Outgoing {
            from,
            to: record.to,
            ecn: None,
            bytes: &record.bytes,
            emission: record.emission,
        };
        self.network.send(self.now, None, out);
    }

    /// Runs until `done`.
    ///
    /// # Panics
    /// If that takes longer than `limit`.
    pub fn run_until(&mut self, limit: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(
                self.step(end),
                "after {limit:?}: not yet {what}; network {:?}",
                self.network.counters
            );
        }
    }

    /// Runs for a time.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Processes the next event, unless it is due after `end`. Returns true if there was one.
    pub fn step(&mut self, end: Instant) -> bool {
        let arrival = self.network.next_arrival();
        let timer = self.timers.next();
        let next = arrival.into_iter().chain(timer.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now) {
            self.deliver();
        } else if let Some((_, host)) = timer {
            self.wake(host);
        }
        self.check_progress();
        true
    }

    fn check_progress(&mut self) {
        let Some(stall_timeout) = self.stall_timeout else {
            return;
        };
        for node in &self.nodes {
            if let Some(host) = &node.host {
                let flows = node.app.flows();
                self.invariants
                    .check_progress(self.now, host.incarnation(), &flows, stall_timeout);
            }
        }
    }

    /// Delivers the datagrams that arrive at one host at one instant together, as `recvmmsg` does.
    fn deliver(&mut self) {
        let mut arrivals: Vec<Arrival> = Vec::new();
        while let Some(arrival) = self.network.arrive(self.now) {
            let before = arrivals.first().map(|first| first.host);
            if before.is_some_and(|host| host != arrival.host) {
                self.receive(std::mem::take(&mut arrivals));
            }
            arrivals.push(arrival);
        }
        self.receive(arrivals);
    }

    fn receive(&mut self, arrivals: Vec<Arrival>) {
        let Some(to) = arrivals.first().map(|first| first.host) else {
            return;
        };
        if let Some(run) = self.nodes[to.0].unloaded.take() {
            self.start_with(to, |config| config.run = Some(run));
        }
        let node = &self.nodes[to.0];
        let Some(host) = node.host.as_ref().filter(|_| node.asleep <= self.now) else {
            return;
        };
        for arrival in &arrivals {
            let written_to = self.network.seen_as(arrival.to);
            self.invariants
                .delivered(host.incarnation(), written_to, arrival);
        }
        self.with_host(to, |host, context| host.receive(context, arrivals));
    }

    fn wake(&mut self, id: HostId) {
        let now = self.now;
        self.with_host(id, |host, context| {
            let local = host.local(now);
            if context.app.next_time().is_some_and(|at| at <= local) {
                host.act(context, Vec::new());
            }
            if host.wake().is_some_and(|at| at <= now) {
                host.time_out(context);
            }
        });
    }

    fn with_host(&mut self, id: HostId, act: impl FnOnce(&mut Host, &mut Context<'_>)) {
        let node = &mut self.nodes[id.0];
        if let Some(host) = &mut node.host {
            let mut context = Context {
                now: self.now,
                network: &mut self.network,
                invariants: &mut self.invariants,
                app: node.app.as_mut(),
            };
            act(host, &mut context);
        }
        self.plan(id);
    }

    /// Schedules the next wake-up of a host.
    fn plan(&mut self, id: HostId) {
        let node = &mut self.nodes[id.0];
        let Some(host) = &mut node.host else {
            return;
        };
        let clock = node.clock;
        let app = node.app.next_time().map(|at| at - clock);
        let wake = host.wake().into_iter().chain(app).min();
        let wake = wake.map(|at| {
            let late = self.lateness_rng.duration_below(self.lateness);
            (at + late).max(node.asleep)
        });
        self.timers.set(id, wake);
    }
}
