//! Handshakes with a host that has several addresses (RFC 8305), with a simulated clock.

use super::*;
use crate::wire::Datagram;

/// Agent behind an address, by index, and the one-way delay to it.
type Behind = Option<(usize, Duration)>;

/// A controller, some agents, and the addresses under which it looks for one of them.
struct Scene {
    start: Instant,
    now: Instant,
    controller: Endpoint,
    agents: Vec<Endpoint>,
    keys: Vec<PublicKey>,
    addresses: Vec<Behind>,
    /// True for addresses to which the system refuses to send.
    refused: Vec<bool>,
    /// Datagrams in flight: time of arrival, true if sent to the agent, address, bytes.
    wire: Vec<(Instant, bool, usize, Vec<u8>)>,
    /// INITs that were sent: milliseconds since the start, address, true if with a token.
    inits: Vec<(u128, usize, bool)>,
    events: Vec<(u128, Event)>,
    agent_events: Vec<Event>,
}

/// An authorizer that admits every controller from validated addresses.
struct Validated;

impl Authorizer for Validated {
    fn authorize_session(
        &mut self,
        _: &PublicKey,
        _: PeerAddr,
        _: Option<&[u8; INVITE]>,
    ) -> Authorization {
        Authorization::Admitted {
            by: AdmittedBy::Key,
            address: AddressRule::Validated,
        }
    }
}

const MS: Duration = Duration::from_millis(1);
const NOBODY: Behind = None;

/// The first agent, at a distance in milliseconds.
#[allow(
    clippy::unnecessary_wraps,
    reason = "an address may have nobody behind it"
)]
const fn agent(delay: u64) -> Behind {
    Some((0, Duration::from_millis(delay)))
}

fn to(address: usize) -> Path {
    let port = 7000 + u16::try_from(address).unwrap();
    Path {
        socket: 0,
        local: None,
        remote: SocketAddr::from(([192, 0, 2, 1], port)).into(),
    }
}

impl Scene {
    fn new(addresses: &[Behind]) -> Self {
        Self::with(addresses, || Box::new(Open))
    }

    fn with(addresses: &[Behind], authorizer: fn() -> Box<dyn Authorizer>) -> Self {
        let mut rng = Rng::from_seed([8; 32]);
        let now = Instant::from_micros(1_000_000);
        let config = Config::new(SecretKey::generate(&mut rng), None);
        let controller = Endpoint::new(config, rng.fork(), now);
        let (mut agents, mut keys) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let identity = SecretKey::generate(&mut rng);
            keys.push(identity.public());
            let config = Config::new(identity, Some(authorizer()));
            agents.push(Endpoint::new(config, rng.fork(), now));
        }
        Self {
            start: now,
            now,
            controller,
            agents,
            keys,
            addresses: addresses.to_vec(),
            refused: vec![false; addresses.len()],
            wire: Vec::new(),
            inits: Vec::new(),
            events: Vec::new(),
            agent_events: Vec::new(),
        }
    }

    /// Opens a session to the first agent at all addresses.
    fn connect(&mut self, number: u64, ticket: Option<Ticket>, timeout: Duration) {
        self.start = self.now;
        let connect = Connect {
            session: SessionHandle(number),
            agent: self.keys[0],
            path: to(0),
            further: (1..self.addresses.len()).map(to).collect(),
            ticket,
            invite: None,
            first: Bytes::from_static(b"first"),
            timeout,
        };
        self.controller.apply(self.now, Command::Connect(connect));
    }

    fn elapsed(&self) -> u128 {
        self.now.since(self.start).as_millis()
    }

    /// Drains transmits and events until both are empty, as the contract of an endpoint requires.
    fn drain(&mut self) {
        loop {
            let sent = self.wire.len();
            if !self.drain_once() && self.wire.len() == sent {
                return;
            }
        }
    }

    /// Returns true if there were events.
    fn drain_once(&mut self) -> bool {
        let before = self.events.len() + self.agent_events.len();
        let mut buf = Vec::new();
        while let Some(transmit) = self.controller.poll_transmit(self.now, &mut buf) {
            let port = usize::from(transmit.path.remote.port().unwrap());
            let address = port - 7000;
            if let Ok(Some(Datagram::Init(init))) = Datagram::parse(&buf) {
                let sent = (self.elapsed(), address, init.token.is_some());
                self.inits.push(sent);
            }
            if self.refused[address] {
                self.controller.handle_unsent(self.now, &buf);
            } else if let Some((_, delay)) = self.addresses[address] {
                self.wire
                    .push((self.now + delay, true, address, buf.clone()));
            }
        }
        for (number, agent) in self.agents.iter_mut().enumerate() {
            while let Some(transmit) = agent.poll_transmit(self.now, &mut buf) {
                // The socket of the agent's path is the address that the datagram came to.
                let address = usize::from(transmit.path.socket);
                let (_, delay) = self.addresses[address]
                    .filter(|&(at, _)| at == number)
                    .unwrap();
                self.wire
                    .push((self.now + delay, false, address, buf.clone()));
            }
            self.agent_events
                .extend(std::iter::from_fn(|| agent.poll_event()));
        }
        let at = self.elapsed();
        let events = std::iter::from_fn(|| self.controller.poll_event());
        self.events.extend(events.map(|event| (at, event)));
        self.events.len() + self.agent_events.len() > before
    }

    /// Delivers datagrams and fires timers for a time.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.drain();
            let timers = self.agents.iter_mut().filter_map(Endpoint::poll_timeout);
            let timers: Vec<_> = timers.chain(self.controller.poll_timeout()).collect();
            let arrivals = self.wire.iter().map(|(due, ..)| *due);
            let next = arrivals.chain(timers).min();
            let Some(next) = next.filter(|&next| next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            if let Some(index) = self.wire.iter().position(|(due, ..)| *due <= self.now) {
                let (_, to_agent, address, mut bytes) = self.wire.remove(index);
                if to_agent {
                    let (agent, _) = self.addresses[address].unwrap();
                    let from = Path {
                        socket: u16::try_from(address).unwrap(),
                        ..path(false)
                    };
                    self.agents[agent].handle_datagram(self.now, from, None, &mut bytes);
                } else {
                    self.controller
                        .handle_datagram(self.now, to(address), None, &mut bytes);
                }
            } else {
                self.controller.handle_timeout(self.now);
                for agent in &mut self.agents {
                    agent.handle_timeout(self.now);
                }
            }
        }
    }

    /// Time of the first INIT to each address, in order.
    fn attempts(&self) -> Vec<(u128, usize)> {
        let mut attempts: Vec<(u128, usize)> = Vec::new();
        for &(at, address, _) in &self.inits {
            if attempts.iter().all(|&(_, other)| other != address) {
                attempts.push((at, address));
            }
        }
        attempts
    }

    /// Time and address of the answer.
    fn connected(&self) -> Option<(u128, usize)> {
        let mut connected = self.events.iter().filter_map(|(at, event)| match event {
            Event::Connected { path, .. } => {
                Some((*at, usize::from(path.remote.port().unwrap()) - 7000))
            }
            _ => None,
        });
        let first = connected.next();
        assert_eq!(connected.next(), None, "a session is established once");
        first
    }

    fn closed(&self) -> Vec<(u128, Closed)> {
        let closed = self.events.iter().filter_map(|(at, event)| match event {
            Event::Closed { reason, .. } => Some((*at, reason.clone())),
            _ => None,
        });
        closed.collect()
    }

    /// Number of sessions in which an agent has received the first bytes.
    fn received(&self) -> usize {
        let data = |event: &&Event| matches!(event, Event::Stream { event: StreamEvent::Data { data, .. }, .. } if data == "first");
        self.agent_events.iter().filter(data).count()
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn each_address_is_tried_250_ms_after_the_one_before_until_one_answers() {
    let mut scene = Scene::new(&[NOBODY, NOBODY, agent(10), NOBODY]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND * 2);
    assert_eq!(scene.attempts(), [(0, 0), (250, 1), (500, 2)]);
    assert_eq!(scene.connected(), Some((520, 2)));
    assert_eq!(scene.received(), 1);
    // Nothing is sent to the other addresses once one has answered.
    assert!(scene.inits.iter().all(|&(at, ..)| at <= 520));
}

#[test]
fn an_address_that_answers_in_time_is_the_only_one_that_is_sent_to() {
    let mut scene = Scene::new(&[agent(100), agent(1)]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND * 2);
    assert_eq!(scene.inits, [(0, 0, false)]);
    assert_eq!(scene.connected(), Some((200, 0)));
}

#[test]
fn an_address_that_is_slow_to_answer_wins_over_one_that_does_not() {
    let mut scene = Scene::new(&[agent(400), NOBODY]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND * 2);
    assert_eq!(scene.attempts(), [(0, 0), (250, 1)]);
    assert_eq!(scene.connected(), Some((800, 0)));
}

#[test]
fn an_address_that_cannot_be_sent_to_costs_no_time() {
    let mut scene = Scene::new(&[agent(10), agent(10), agent(10), NOBODY]);
    scene.refused[..2].fill(true);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND * 2);
    assert_eq!(scene.attempts(), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(scene.connected(), Some((20, 2)));
}

#[test]
fn an_address_that_cannot_be_sent_to_is_tried_again_with_the_others() {
    let mut scene = Scene::new(&[agent(10), NOBODY, NOBODY]);
    scene.refused[0] = true;
    scene.connect(1, None, TIMEOUT);
    scene.run(200 * MS);
    scene.refused[0] = false;
    scene.run(SECOND * 2);
    // The refusal of a repeat begins no further attempt.
    assert_eq!(scene.attempts(), [(0, 0), (0, 1), (250, 2)]);
    let (at, address) = scene.connected().unwrap();
    assert_eq!(address, 0);
    assert!(at > 200, "{at}");
}

#[test]
fn addresses_without_an_answer_take_the_contact_timeout_and_each_gets_its_turn() {
    let mut scene = Scene::new(&[NOBODY; 4]);
    scene.connect(1, None, 400 * MS);
    scene.run(SECOND * 2);
    assert_eq!(scene.attempts(), [(0, 0), (50, 1), (100, 2), (150, 3)]);
    assert_eq!(scene.closed(), [(400, Closed::Unreachable)]);
    assert!(scene.inits.iter().all(|&(at, ..)| at < 400));
}

#[test]
fn at_most_eight_addresses_are_tried() {
    let mut scene = Scene::new(&[NOBODY; 20]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND * 11);
    let tried: Vec<usize> = scene.attempts().iter().map(|attempt| attempt.1).collect();
    assert_eq!(tried, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(scene.controller.sessions(), 0);
}

#[test]
fn an_agent_with_another_key_is_not_the_one_that_answers() {
    let other = Some((1, MS));
    let mut scene = Scene::new(&[other, agent(10)]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND);
    assert_eq!(scene.connected(), Some((270, 1)));
    assert_eq!(scene.agents[1].sessions(), 0);

    let mut scene = Scene::new(&[other, other]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND * 11);
    assert_eq!(scene.closed(), [(10_000, Closed::Unreachable)]);
}

/// Returns a scene with a ticket of its agent.
fn known(addresses: &[Behind]) -> (Scene, Ticket) {
    let mut scene = Scene::new(&[agent(1)]);
    scene.connect(1, None, TIMEOUT);
    scene.run(SECOND);
    let ticket = scene.events.iter().find_map(|(_, event)| match event {
        Event::Connected { ticket, .. } => Some(*ticket),
        _ => None,
    });
    scene.addresses = addresses.to_vec();
    scene.refused = vec![false; addresses.len()];
    scene.inits.clear();
    scene.events.clear();
    scene.agent_events.clear();
    (scene, ticket.unwrap())
}

#[test]
fn early_data_that_arrives_at_two_addresses_of_an_agent_is_taken_once() {
    // The INIT to the first address arrives first, and the RESP from the second.
    let (mut scene, ticket) = known(&[agent(200), agent(10)]);
    scene.connect(2, Some(ticket), TIMEOUT);
    scene.run(259 * MS);
    assert_eq!((scene.received(), scene.connected()), (1, None));
    scene.run(2 * MS);
    assert_eq!(scene.received(), 1, "not from the second INIT too");
    scene.run(SECOND);
    assert_eq!(scene.connected(), Some((270, 1)));
    let early = scene.events.iter().find_map(|(_, event)| match event {
        Event::Connected { early, .. } => Some(*early),
        _ => None,
    });
    // The refused data is sent again in the session that is used, where its request id tells the agent that it is known.
    assert_eq!(early, Some(Early::Refused));
    assert_eq!(scene.received(), 2);
    // The session of the INIT that lost is never confirmed, and goes.
    assert_eq!(scene.agents[0].sessions(), 3);
    scene.run(limits::UNCONFIRMED);
    assert_eq!(scene.agents[0].sessions(), 2);
}

#[test]
fn early_data_whose_first_answer_is_the_first_to_arrive_is_not_sent_again() {
    let (mut scene, ticket) = known(&[agent(130), agent(130)]);
    scene.connect(2, Some(ticket), TIMEOUT);
    scene.run(SECOND * 2);
    assert_eq!(scene.attempts(), [(0, 0), (250, 1)]);
    assert_eq!(scene.connected(), Some((260, 0)));
    assert_eq!(scene.received(), 1);
}

#[test]
fn the_token_of_a_retry_goes_to_the_address_that_it_came_from() {
    // Both addresses have an attempt when the RETRY comes.
    for (addresses, retry, connected) in [
        ([NOBODY, agent(10)], (270, 1, true), (290, 1)),
        ([agent(140), NOBODY], (280, 0, true), (560, 0)),
    ] {
        let mut scene = Scene::with(&addresses, || Box::new(Validated));
        scene.connect(1, None, TIMEOUT);
        scene.run(SECOND);
        assert_eq!(scene.connected(), Some(connected));
        let tokens: Vec<_> = scene.inits.iter().filter(|init| init.2).collect();
        assert_eq!(tokens, [&retry]);
    }
}

#[test]
fn an_answer_from_another_address_than_that_of_its_init_is_dropped() {
    let mut scene = Scene::new(&[agent(300), agent(300)]);
    scene.connect(1, None, TIMEOUT);
    scene.run(301 * MS);
    let (due, to_agent, address, _) = &mut scene.wire[1];
    assert!(
        !*to_agent && *address == 0,
        "the RESP from the first address"
    );
    (*due, *address) = (scene.now, 1);
    scene.run(MS);
    let dropped = scene.controller.stats().dropped;
    assert_eq!(dropped[Drop::Unexpected as usize], 1);
    scene.run(SECOND);
    assert_eq!(scene.connected(), Some((850, 1)));
}

#[test]
fn ids_of_discarded_inits_are_forgotten_at_each_address() {
    let mut scene = Scene::new(&[NOBODY; 2]);
    scene.connect(1, None, SECOND * 60);
    for _ in 0..50 {
        scene.run(SECOND);
        assert!(scene.controller.by_id.len() <= 2 * limits::INITS);
    }
    assert_eq!(scene.controller.by_id.len(), 2 * limits::INITS);
    scene.run(SECOND * 11);
    assert_eq!(scene.controller.by_id.len(), 0);
}
