//! The world of a story: virtual time, hosts, the network between them, and the judge.
//!
//! One loop: the next thing that happens (an arrival, a timer of a machine, a timer of an
//! application) sets the time, and one host acts. Between two such moments nothing exists.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use udpagent::crypto::{PublicKey, SecretKey};
use udpagent::session::{
    Authorizer, Command, Config, Endpoint, InitFingerprint, SessionHandle, Ticket,
};
use udpagent::time::Instant;

use crate::caller::Caller;
use crate::cast::{Agent, Laptop, Members, Tuning};
use crate::contract::Contract;
use crate::dice::{Dice, rng};
use crate::echo::Echo;
use crate::host::{App, Around, Host, Parts, Wakes};
use crate::invariants::{Invariants, Life, Standing};
use crate::link::Link;
use crate::network::{Arrival, HostId, Network, Outgoing, Record};
use crate::work::Work;

/// What outlives a host's lives.
struct Place {
    standing: Standing,
    identity: SecretKey,
    addresses: Vec<SocketAddr>,
    clock: Duration,
    tuning: Tuning,
    app: Box<dyn App>,
    host: Option<Host>,
    /// Asleep until then: hears nothing, does nothing, its clock goes on.
    asleep: Instant,
}

/// The world.
pub struct World {
    seed: u64,
    now: Instant,
    /// The links.
    pub network: Network,
    /// The judge.
    pub judge: Invariants,
    /// The story's own dice.
    pub dice: Dice,
    /// Settings of hosts that are created from now on.
    pub tuning: Tuning,
    /// How much later than asked for a host wakes at most, as on a busy machine.
    pub lateness: Duration,
    /// How long a stream may stand still whose writer and reader are both willing; `None`: not looked at.
    pub patience: Option<Duration>,
    late_dice: Dice,
    members: Members,
    places: Vec<Place>,
    wakes: Vec<Option<Instant>>,
}

impl World {
    /// An empty world, with links of this kind between all that will be in it.
    pub fn new(seed: u64, link: Link) -> Self {
        Self {
            seed,
            now: Instant::from_micros(1_000_000),
            network: Network::new(seed, link),
            judge: Invariants::default(),
            dice: Dice::new(seed, "story"),
            tuning: Tuning::default(),
            lateness: Duration::ZERO,
            patience: None,
            late_dice: Dice::new(seed, "lateness"),
            members: Members::default(),
            places: Vec::new(),
            wakes: Vec::new(),
        }
    }

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Adds an agent that answers works.
    pub fn agent(&mut self) -> Agent {
        let app = Rc::new(RefCell::new(Echo::default()));
        let (host, key, address) = self.settle(Standing::Agent, Box::new(Rc::clone(&app)));
        Agent {
            host,
            key,
            address,
            app,
        }
    }

    /// Adds a controller that the agents admit.
    pub fn laptop(&mut self) -> Laptop {
        self.caller(Standing::Controller)
    }

    /// Adds a controller that they do not.
    pub fn stranger(&mut self) -> Laptop {
        self.caller(Standing::Stranger)
    }

    fn caller(&mut self, standing: Standing) -> Laptop {
        let app = Rc::new(RefCell::new(Caller::default()));
        let (host, _, address) = self.settle(standing, Box::new(Rc::clone(&app)));
        Laptop { host, address, app }
    }

    /// Adds a host with any application.
    pub fn settle(
        &mut self,
        standing: Standing,
        app: Box<dyn App>,
    ) -> (HostId, PublicKey, SocketAddr) {
        let number = self.places.len();
        let host = HostId(number);
        let identity = SecretKey::generate(&mut rng(self.seed, &format!("identity {number}")));
        let key = identity.public();
        let address = match standing {
            Standing::Agent => format!("192.0.{}.{}:7000", number / 250, number % 250 + 1),
            Standing::Controller | Standing::Stranger => {
                format!("198.51.{}.{}:40000", number / 250, number % 250 + 1)
            }
        };
        let address = address.parse().expect("an address");
        if standing == Standing::Controller {
            self.members.add(key);
        }
        self.network.attach(host, address);
        let clock =
            Dice::new(self.seed, &format!("clock {number}")).upto(Duration::from_secs(864_000));
        self.places.push(Place {
            standing,
            identity,
            addresses: vec![address],
            clock,
            tuning: self.tuning,
            app,
            host: None,
            asleep: Instant::ZERO,
        });
        self.wakes.push(None);
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
        let place = &mut self.places[host.0];
        place.addresses.push(address);
        if let Some(host) = &mut place.host {
            host.add_address(address);
        }
    }

    /// A host's process begins, in place of the one before if there was one.
    pub fn start(&mut self, id: HostId, seen: Vec<InitFingerprint>) {
        let place = &mut self.places[id.0];
        let life = self.judge.born(id, place.standing);
        let authorizer: Option<Box<dyn Authorizer>> = match place.standing {
            Standing::Agent => Some(Box::new(self.members.clone())),
            Standing::Controller | Standing::Stranger => None,
        };
        let mut config = Config::new(place.identity.clone(), authorizer);
        let tuning = place.tuning;
        config.stream_window = tuning.stream_window.unwrap_or(config.stream_window);
        config.session_window = tuning.session_window.unwrap_or(config.session_window);
        config.segments = tuning.segments.unwrap_or(config.segments);
        config.seen = seen;
        let contract = Contract::new(config.stream_window, config.session_window);
        let random = rng(self.seed, &format!("endpoint {life:?}"));
        place.host = Some(Host::new(Parts {
            id,
            life,
            addresses: place.addresses.clone(),
            endpoint: Endpoint::new(config, random, self.now + place.clock),
            contract,
            clock: place.clock,
        }));
        self.plan(id);
    }

    /// The agent's process ends, without a word.
    pub fn kill(&mut self, agent: &Agent) {
        self.places[agent.host.0].host = None;
        self.wakes[agent.host.0] = None;
        agent.app.borrow_mut().die();
    }

    /// The agent's process ends and another begins, with what the first kept on disk.
    pub fn restart(&mut self, agent: &Agent) {
        self.kill(agent);
        let seen = agent.app.borrow().seen.clone();
        self.start(agent.host, seen);
    }

    /// The host sleeps: its clock goes on, nothing else does.
    pub fn sleep(&mut self, host: HostId, time: Duration) {
        self.places[host.0].asleep = self.now + time;
        self.plan(host);
    }

    /// Which life of its host an agent is in.
    pub fn life(&self, host: HostId) -> Life {
        self.host(host).life()
    }

    /// The machine of a host that lives.
    pub fn endpoint(&self, host: HostId) -> &Endpoint {
        self.host(host).endpoint()
    }

    /// How often a host was woken.
    pub fn wakes(&self, host: HostId) -> Wakes {
        self.host(host).wakes()
    }

    /// The machinery of a host that lives.
    pub fn host(&self, host: HostId) -> &Host {
        self.places[host.0].host.as_ref().expect("it lives")
    }

    /// Opens a session from a laptop to an agent.
    pub fn connect(
        &mut self,
        laptop: &Laptop,
        agent: &Agent,
        ticket: Option<Ticket>,
        first: Option<Work>,
    ) -> SessionHandle {
        let to = (agent.key, agent.address);
        self.connect_to(laptop, to, ticket, first, Duration::from_secs(60))
    }

    /// Opens a session to a key at an address, in a time.
    pub fn connect_to(
        &mut self,
        laptop: &Laptop,
        to: (PublicKey, SocketAddr),
        ticket: Option<Ticket>,
        first: Option<Work>,
        timeout: Duration,
    ) -> SessionHandle {
        let now = self.local(laptop.host);
        let mut app = laptop.app.borrow_mut();
        let (session, commands) = app.connect(now, to, ticket, first, timeout);
        drop(app);
        self.act(laptop.host, commands);
        session
    }

    /// Asks for a work in a session.
    pub fn ask(&mut self, laptop: &Laptop, session: SessionHandle, work: Work) {
        let now = self.local(laptop.host);
        let commands = laptop.app.borrow_mut().ask(now, session, work);
        self.act(laptop.host, commands);
    }

    /// What the clock of a host shows.
    pub fn local(&self, host: HostId) -> Instant {
        self.now + self.places[host.0].clock
    }

    /// Has a host's application give commands.
    pub fn act(&mut self, host: HostId, commands: Vec<Command>) {
        self.with_host(host, |host, around| host.act(around, commands));
    }

    /// Somebody who is no host sends a datagram, from any address that it likes.
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

    /// An attacker that saw a datagram before it arrived sends it on from another address.
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

    /// Lets things happen until `done`.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub fn run_until(&mut self, limit: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(
                self.step(end),
                "after {limit:?}: not yet {what}; network {:?}",
                self.network.tally
            );
        }
    }

    /// Lets things happen for a time.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// The next thing happens, unless that is after `end`. Returns whether it did.
    pub fn step(&mut self, end: Instant) -> bool {
        let arrival = self.network.next_arrival();
        let timers = self.wakes.iter().enumerate();
        let timer = timers
            .filter_map(|(place, at)| at.map(|at| (at, HostId(place))))
            .min();
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
        self.look_for_progress();
        true
    }

    fn look_for_progress(&mut self) {
        let Some(patience) = self.patience else {
            return;
        };
        for place in &self.places {
            if let Some(host) = &place.host {
                let flows = place.app.flows();
                self.judge.reading(self.now, host.life(), &flows, patience);
            }
        }
    }

    /// What arrives at one instant at one host it takes in one turn, as from one `recvmmsg`.
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
        let place = &self.places[to.0];
        let Some(host) = place.host.as_ref().filter(|_| place.asleep <= self.now) else {
            return;
        };
        for arrival in &arrivals {
            let written_to = self.network.seen_as(arrival.to);
            self.judge.delivered(host.life(), written_to, arrival);
        }
        self.with_host(to, |host, around| host.receive(around, arrivals));
    }

    fn wake(&mut self, id: HostId) {
        let now = self.now;
        self.with_host(id, |host, around| {
            let local = host.local(now);
            if around.app.next_time().is_some_and(|at| at <= local) {
                host.act(around, Vec::new());
            }
            if host.wake().is_some_and(|at| at <= now) {
                host.time_out(around);
            }
        });
    }

    fn with_host(&mut self, id: HostId, act: impl FnOnce(&mut Host, &mut Around<'_>)) {
        let place = &mut self.places[id.0];
        if let Some(host) = &mut place.host {
            let mut around = Around {
                now: self.now,
                network: &mut self.network,
                judge: &mut self.judge,
                app: place.app.as_mut(),
            };
            act(host, &mut around);
        }
        self.plan(id);
    }

    /// Notes when a host wants to be woken next.
    fn plan(&mut self, id: HostId) {
        let place = &mut self.places[id.0];
        let Some(host) = &mut place.host else {
            return;
        };
        let clock = place.clock;
        let app = place.app.next_time().map(|at| at - clock);
        let wake = host.wake().into_iter().chain(app).min();
        self.wakes[id.0] = wake.map(|at| {
            let late = self.late_dice.upto(self.lateness);
            (at + late).max(place.asleep)
        });
    }
}
