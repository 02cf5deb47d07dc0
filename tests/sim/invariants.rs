//! The invariants of the protocol, checked on every datagram sent and delivered. A violation panics.
//!
//! The check reads only what an on-path observer could (headers, through `wire`), and knows in addition
//! which emission a datagram is a copy of. It demands:
//!
//! - no counter is sealed twice in a session and direction; an INIT or RESP is only ever repeated
//!   byte for byte (another message under the same ephemeral key would reuse a nonce);
//! - an agent sends to an address, for a session, at most three times what came from there, until a
//!   datagram of the session came (from anywhere: RFC 9000 §8.2.3) that its sender wrote after hearing
//!   something sent there: no address can be validated earlier, whatever the endpoint assumes;
//! - an address that has sent nothing genuine gets no answer; one that has shown knowledge of the agent's
//!   public key may get a RETRY, never more bytes than it sent;
//! - a controller sends only to addresses of its connect commands;
//! - a stream with a willing writer and a willing reader makes progress ([`Simulation::stall_timeout`]).
//!
//! [`Simulation::stall_timeout`]: crate::simulation::Simulation::stall_timeout

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::time::Duration;

use udpagent::session::limits::{AMPLIFICATION, KNOWN_ADDRESS_BUDGET};
use udpagent::session::{Path, SessionHandle};
use udpagent::time::Instant;
use udpagent::wire::limits::{MIN_DATAGRAM, RETRY, STATELESS_RESET};
use udpagent::wire::{Datagram, SessionId, StreamId};

use crate::network::{Arrival, HostId};

/// Role of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// An agent.
    Agent,
    /// A controller that agents admit.
    Controller,
    /// A controller whose key no agent knows.
    Unauthorized,
}

/// One run of a host's process: a restart begins another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Incarnation(pub u32);

/// Amplification budget of one address in one session of an agent.
#[derive(Default)]
struct Budget {
    received: u64,
    sent: u64,
    validated: bool,
}

/// Traffic between one address and one incarnation of an agent.
#[derive(Default)]
struct Peer {
    received: u64,
    sent: u64,
    /// A genuine datagram of an admitted controller has come from there.
    genuine: bool,
    /// A datagram with a true mac has: its sender knows the agent's public key.
    knows_key: bool,
    /// Bytes of stateless resets that an endpoint may send without having received anything.
    resets_allowed: u64,
    resets_sent: u64,
}

/// A stream that is not complete: its writer has more to write, and its reader consumes what it receives.
pub struct Flow {
    /// The reader's name for the session.
    pub session: SessionHandle,
    /// The stream.
    pub stream: StreamId,
    /// Bytes received in order.
    pub received: u64,
}

struct Emission {
    incarnation: Incarnation,
    role: Role,
}

/// The checks and what they remember.
#[derive(Default)]
pub struct Invariants {
    incarnations: Vec<(HostId, Role)>,
    emissions: Vec<Emission>,
    /// Highest counter sealed, by sender and the receiver's name for the session.
    counters: HashMap<(Incarnation, SessionId), u64>,
    /// The only datagram that may ever be seen with these first bytes of a Noise message.
    handshakes: HashMap<Vec<u8>, u64>,
    /// The controller's name of a session, by the agent's name for it.
    sessions: HashMap<(Incarnation, SessionId), SessionId>,
    budgets: HashMap<(Incarnation, SessionId, SocketAddr), Budget>,
    /// The first emission that the controller can have written after hearing from a session there.
    heard: HashMap<(Incarnation, SessionId), HashMap<SocketAddr, u64>>,
    peers: HashMap<(Incarnation, SocketAddr), Peer>,
    targets: HashMap<Incarnation, HashSet<SocketAddr>>,
    /// Bytes received in each flow, and the time of the last change.
    flows: HashMap<(Incarnation, SessionHandle, StreamId), (u64, Instant)>,
}

impl Invariants {
    /// Registers the start of a host's process.
    pub fn start_host(&mut self, host: HostId, role: Role) -> Incarnation {
        self.incarnations.push((host, role));
        Incarnation(u32::try_from(self.incarnations.len() - 1).expect("few restarts"))
    }

    /// Allows a controller to send to `target`, because a command names it.
    pub fn allow_target(&mut self, incarnation: Incarnation, target: SocketAddr) {
        self.targets.entry(incarnation).or_default().insert(target);
    }

    /// Notes that a datagram with a valid mac was injected from this address.
    pub fn key_is_known(&mut self, agent: Incarnation, from: SocketAddr) {
        self.peers.entry((agent, from)).or_default().knows_key = true;
    }

    /// Notes that an agent's endpoint has the record of a session with this address.
    pub fn allow_reset(&mut self, agent: Incarnation, path: Path) {
        let Some(address) = path.remote.socket_addr() else {
            return;
        };
        let peer = self.peers.entry((agent, address)).or_default();
        peer.resets_allowed += STATELESS_RESET as u64;
    }

    /// Bytes that an agent has sent to an address.
    pub fn sent_to(&self, agent: Incarnation, address: SocketAddr) -> u64 {
        self.peers.get(&(agent, address)).map_or(0, |a| a.sent)
    }

    /// A host sends: `to` is the address on the network. Returns the number of the emission.
    pub fn on_send(&mut self, incarnation: Incarnation, to: SocketAddr, bytes: &[u8]) -> u64 {
        let role = self.role(incarnation);
        let datagram = Datagram::parse(bytes)
            .unwrap_or_else(|e| panic!("{incarnation:?} sends what is no datagram: {e:?}"))
            .unwrap_or_else(|| panic!("{incarnation:?} sends a datagram without the tag"));
        match datagram {
            Datagram::Init(init) => {
                assert_eq!(bytes.len(), MIN_DATAGRAM, "an INIT has one size");
                assert_ne!(role, Role::Agent, "an agent sends an INIT");
                self.only_handshake(init.noise, bytes);
            }
            Datagram::Resp(resp) => {
                assert_eq!(role, Role::Agent, "a controller sends a RESP");
                self.only_handshake(resp.noise, bytes);
                self.sessions
                    .insert((incarnation, resp.sender), resp.receiver);
            }
            Datagram::Retry(_) => assert_eq!(bytes.len(), RETRY, "a RETRY has one size"),
            Datagram::StatelessReset(_) => {
                assert_eq!(role, Role::Agent, "a controller sends a STATELESS_RESET");
            }
            Datagram::Data(data) => {
                let last = self
                    .counters
                    .insert((incarnation, data.receiver), data.counter);
                assert!(
                    last.is_none_or(|last| last < data.counter),
                    "{incarnation:?} seals counter {} after {last:?} in one session",
                    data.counter
                );
            }
        }
        match role {
            Role::Agent => self.on_agent_send(incarnation, to, &datagram, bytes.len() as u64),
            Role::Controller | Role::Unauthorized => assert!(
                self.targets
                    .get(&incarnation)
                    .is_some_and(|t| t.contains(&to)),
                "{incarnation:?} sends to {to}, which no command names"
            ),
        }
        self.emissions.push(Emission { incarnation, role });
        self.emissions.len() as u64 - 1
    }

    /// A datagram arrives at a running host; `written_to` is the address that its sender wrote on it.
    pub fn delivered(
        &mut self,
        incarnation: Incarnation,
        written_to: SocketAddr,
        arrival: &Arrival,
    ) {
        // An exact copy by the network is as good as the original; a copy by an attacker is not.
        let origin = arrival.origin;
        let genuine = origin.emission.filter(|_| !origin.corrupted);
        if self.role(incarnation) == Role::Agent {
            self.on_agent_receive(incarnation, arrival.from, &arrival.bytes, genuine);
        } else if let Some(number) = genuine {
            let agent = self.emissions[index(number)].incarnation;
            if let Some(session) = receiver(&arrival.bytes) {
                let next = self.emissions.len() as u64;
                let heard = self.heard.entry((agent, session)).or_default();
                heard.entry(written_to).or_insert(next);
            }
        }
    }

    /// Checks the progress of the streams that a host reads.
    ///
    /// # Panics
    /// If a stream has made no progress for longer than `stall_timeout`.
    pub fn check_progress(
        &mut self,
        now: Instant,
        incarnation: Incarnation,
        flows: &[Flow],
        stall_timeout: Duration,
    ) {
        let open: HashSet<_> = flows.iter().map(|f| (f.session, f.stream)).collect();
        self.flows.retain(|(l, session, stream), _| {
            *l != incarnation || open.contains(&(*session, *stream))
        });
        for flow in flows {
            let key = (incarnation, flow.session, flow.stream);
            let (received, since) = self.flows.entry(key).or_insert((flow.received, now));
            if *received != flow.received {
                (*received, *since) = (flow.received, now);
            }
            assert!(
                now.since(*since) <= stall_timeout,
                "{:?} of {:?} makes no progress at {received} bytes although both ends are willing",
                flow.stream,
                flow.session
            );
        }
    }

    fn role(&self, incarnation: Incarnation) -> Role {
        self.incarnations[incarnation.0 as usize].1
    }

    fn only_handshake(&mut self, noise: &[u8], bytes: &[u8]) {
        let fingerprint = fingerprint(bytes);
        let ephemeral = noise[..32.min(noise.len())].to_vec();
        let first = *self.handshakes.entry(ephemeral).or_insert(fingerprint);
        assert_eq!(
            first, fingerprint,
            "two different handshake messages under one ephemeral key"
        );
    }

    fn on_agent_send(
        &mut self,
        incarnation: Incarnation,
        to: SocketAddr,
        datagram: &Datagram<'_>,
        len: u64,
    ) {
        let peer = self.peers.entry((incarnation, to)).or_default();
        peer.sent += len;
        if matches!(datagram, Datagram::StatelessReset(_)) {
            peer.resets_sent += len;
            assert!(
                peer.resets_sent <= peer.resets_allowed + peer.received,
                "resets of {} bytes to {to}, of which {} came",
                peer.resets_sent,
                peer.received
            );
            return;
        }
        if !peer.genuine {
            assert!(
                peer.knows_key && matches!(datagram, Datagram::Retry(_)),
                "the agent answers {to}, which has sent nothing genuine, with {datagram:?}"
            );
            assert!(
                peer.sent <= peer.received,
                "RETRY sends more to {to} than came from there"
            );
        }
        let session = match datagram {
            Datagram::Resp(resp) => resp.receiver,
            Datagram::Retry(retry) => retry.receiver,
            Datagram::Data(data) => data.receiver,
            Datagram::Init(_) | Datagram::StatelessReset(_) => return,
        };
        let budget = self.budgets.entry((incarnation, session, to)).or_default();
        budget.sent += len;
        let &mut Budget { sent, received, .. } = budget;
        let allowed = AMPLIFICATION * received;
        if !budget.validated && sent > allowed {
            let is_known = self.is_known(incarnation, session, to);
            assert!(
                is_known && sent <= allowed + KNOWN_ADDRESS_BUDGET,
                "{sent} bytes to {to}, unproved, for {received} received; known: {is_known}"
            );
        }
    }

    /// Returns true if an address was validated in another session.
    fn is_known(&self, incarnation: Incarnation, session: SessionId, address: SocketAddr) -> bool {
        self.budgets.iter().any(|(&(run, other, to), budget)| {
            run == incarnation && other != session && to.ip() == address.ip() && budget.validated
        })
    }

    fn on_agent_receive(
        &mut self,
        incarnation: Incarnation,
        from: SocketAddr,
        bytes: &[u8],
        genuine: Option<u64>,
    ) {
        let role = genuine.map(|number| self.emissions[index(number)].role);
        let len = bytes.len() as u64;
        let peer = self.peers.entry((incarnation, from)).or_default();
        peer.received += len;
        peer.genuine |= role == Some(Role::Controller);
        // An unauthorized controller knows the public key of the agent that it connects to.
        peer.knows_key |= role.is_some();
        let Ok(Some(datagram)) = Datagram::parse(bytes) else {
            return;
        };
        let (session, may_validate) = match datagram {
            Datagram::Init(init) => (Some(init.sender), init.token.is_some()),
            Datagram::Data(data) => (
                self.sessions.get(&(incarnation, data.receiver)).copied(),
                true,
            ),
            Datagram::Resp(_) | Datagram::Retry(_) | Datagram::StatelessReset(_) => (None, false),
        };
        let Some(session) = session else { return };
        let budget = self
            .budgets
            .entry((incarnation, session, from))
            .or_default();
        budget.received += len;
        let Some(number) = genuine.filter(|_| may_validate) else {
            return;
        };
        for (&address, &heard) in self
            .heard
            .get(&(incarnation, session))
            .into_iter()
            .flatten()
        {
            if number >= heard {
                let budget = self
                    .budgets
                    .entry((incarnation, session, address))
                    .or_default();
                budget.validated = true;
            }
        }
    }
}

/// The receiver that a datagram for a controller names.
fn receiver(bytes: &[u8]) -> Option<SessionId> {
    match Datagram::parse(bytes) {
        Ok(Some(Datagram::Resp(resp))) => Some(resp.receiver),
        Ok(Some(Datagram::Retry(retry))) => Some(retry.receiver),
        Ok(Some(Datagram::Data(data))) => Some(data.receiver),
        _ => None,
    }
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("emissions are counted in memory")
}
