//! A network in virtual time: links between hosts, NATs in front of them, and impairments.
//!
//! It checks nothing (see `invariants`) and has no clock: the simulation passes time in. Invariant: the
//! seed and the sent datagrams determine what is delivered, when, and in which order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use udpagent::session::Ecn;
use udpagent::time::{Instant, micros};

use crate::link::Link;
use crate::rng::SimRng;

/// Size of the IPv4 and UDP headers, which count against the rate of a link.
const HEADERS: u64 = 28;

/// Index of a host in the simulation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HostId(pub usize);

/// Origin of a datagram in flight, as only the simulator knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Number of its emission by a host; `None` if an attacker forged or copied it.
    pub emission: Option<u64>,
    /// True if bits were flipped in flight.
    pub corrupted: bool,
}

/// A datagram that arrives now.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The receiving host.
    pub host: HostId,
    /// Source address, as the receiver sees it.
    pub from: SocketAddr,
    /// Destination address, one of the receiver's.
    pub to: SocketAddr,
    /// ECN codepoint.
    pub ecn: Option<Ecn>,
    /// Payload.
    pub bytes: Vec<u8>,
    /// Its origin.
    pub origin: Origin,
}

/// A datagram as sent, as captured by an on-path observer next to the sender.
#[derive(Clone, Debug)]
pub struct Record {
    /// Source address after NAT.
    pub from: SocketAddr,
    /// Destination address.
    pub to: SocketAddr,
    /// Payload.
    pub bytes: Rc<[u8]>,
    /// The number of its emission, if a host sent it.
    pub emission: Option<u64>,
}

/// A datagram that a host, or an attacker, sends.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Source address before NAT.
    pub from: SocketAddr,
    /// Destination address.
    pub to: SocketAddr,
    /// ECN codepoint.
    pub ecn: Option<Ecn>,
    /// Payload.
    pub bytes: &'a [u8],
    /// The number of its emission, if a host sends it.
    pub emission: Option<u64>,
}

/// Counts of datagrams by result.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Sent.
    pub sent: u64,
    /// Arrived.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped at a full queue.
    pub overflowed: u64,
    /// Larger than the link's MTU.
    pub oversized: u64,
    /// Sent to an address that no host has now.
    pub nowhere: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Delivered with flipped bits.
    pub corrupted: u64,
    /// Marked Congestion Experienced.
    pub marked: u64,
}

struct InFlight {
    at: Instant,
    number: u64,
    arrival: Arrival,
}

/// The heap's order: earliest first, then in the order of sending.
impl InFlight {
    const fn rank(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}
impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for InFlight {}
impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

struct Direction {
    link: Link,
    busy_until: Instant,
    /// Sequence numbers of datagrams that a scenario has lost.
    drop_range: Range<u64>,
    sent: u64,
}

/// The network.
pub struct Network {
    rng: SimRng,
    default: Link,
    directions: HashMap<(Option<HostId>, HostId), Direction>,
    /// Public address of an inner one, where they differ.
    nat: HashMap<SocketAddr, SocketAddr>,
    /// Host at a public address now, and its inner address.
    reachable: HashMap<SocketAddr, (HostId, SocketAddr)>,
    /// Host that ever had a public address: datagrams are still routed there.
    routes: HashMap<SocketAddr, HostId>,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    number: u64,
    /// Arrivals are delayed to a multiple of this, so that they come in batches, as on a busy host.
    pub tick: Duration,
    /// Counts since the start.
    pub counters: Counters,
    /// Every datagram put on the network, if it is to be kept.
    pub records: Option<Vec<Record>>,
}

impl Network {
    /// A network whose links are all `default` until said otherwise.
    pub fn new(seed: u64, default: Link) -> Self {
        Self {
            rng: SimRng::new(seed, "network"),
            default,
            directions: HashMap::new(),
            nat: HashMap::new(),
            reachable: HashMap::new(),
            routes: HashMap::new(),
            in_flight: BinaryHeap::new(),
            number: 0,
            tick: Duration::ZERO,
            counters: Counters::default(),
            records: None,
        }
    }

    /// `host` is reachable at `address`.
    pub fn attach(&mut self, host: HostId, address: SocketAddr) {
        self.reachable.insert(address, (host, address));
        self.routes.insert(address, host);
    }

    /// From now on what `inner` sends is seen as coming from `outer`, and the mapping before is gone.
    pub fn rebind(&mut self, inner: SocketAddr, outer: SocketAddr) {
        let before = self.nat.insert(inner, outer).unwrap_or(inner);
        let (host, _) = self
            .reachable
            .remove(&before)
            .expect("a host is attached before its NAT changes");
        self.reachable.insert(outer, (host, inner));
        self.routes.insert(outer, host);
    }

    /// Public address of `inner`.
    pub fn seen_as(&self, inner: SocketAddr) -> SocketAddr {
        self.nat.get(&inner).copied().unwrap_or(inner)
    }

    /// Changes one direction. Datagrams in flight are not affected.
    pub fn set_link(&mut self, from: HostId, to: HostId, link: Link) {
        self.direction(Some(from), to).link = link;
    }

    /// The next `count` datagrams in this direction are lost.
    pub fn lose_next(&mut self, from: HostId, to: HostId, count: u64) {
        let direction = self.direction(Some(from), to);
        direction.drop_range = direction.sent..direction.sent + count;
    }

    /// After `count` more datagrams in this direction one is lost.
    pub fn lose_one_after(&mut self, from: HostId, to: HostId, count: u64) {
        let direction = self.direction(Some(from), to);
        let place = direction.sent + count;
        direction.drop_range = place..place + 1;
    }

    /// Puts a datagram on the network.
    pub fn send(&mut self, now: Instant, sender: Option<HostId>, out: Outgoing<'_>) {
        let from = self.seen_as(out.from);
        self.counters.sent += 1;
        if let Some(records) = &mut self.records {
            records.push(Record {
                from,
                to: out.to,
                bytes: out.bytes.into(),
                emission: out.emission,
            });
        }
        let Some(&host) = self.routes.get(&out.to) else {
            self.counters.nowhere += 1;
            return;
        };
        let copies = {
            let duplicate = self.direction(sender, host).link.duplicate;
            if self.rng.chance(duplicate) {
                self.counters.duplicated += 1;
                2
            } else {
                1
            }
        };
        for _ in 0..copies {
            let arrival = Arrival {
                host,
                from,
                to: out.to,
                ecn: out.ecn,
                bytes: out.bytes.to_vec(),
                origin: Origin {
                    emission: out.emission,
                    corrupted: false,
                },
            };
            self.transmit(now, sender, arrival);
        }
    }

    fn transmit(&mut self, now: Instant, sender: Option<HostId>, mut arrival: Arrival) {
        let direction = self.direction(sender, arrival.host);
        let scripted_loss = direction.drop_range.contains(&direction.sent);
        direction.sent += 1;
        let link = direction.link.clone();
        if arrival.bytes.len() > link.mtu {
            self.counters.oversized += 1;
            return;
        }
        let mut at = now;
        if let Some(rate) = link.rate {
            let direction = self.direction(sender, arrival.host);
            let start = direction.busy_until.max(now);
            let waiting = bytes_in(start.since(now), rate);
            let weight = arrival.bytes.len() as u64 + HEADERS;
            if waiting + weight > link.queue {
                self.counters.overflowed += 1;
                return;
            }
            at = start + Duration::from_micros(weight * 1_000_000 / rate.max(1));
            direction.busy_until = at;
            if waiting > link.mark_above && arrival.ecn.is_some() {
                arrival.ecn = Some(Ecn::Ce);
                self.counters.marked += 1;
            }
        }
        // Lost after the queue: it has used the link all the same.
        if scripted_loss || self.rng.chance(link.loss) {
            self.counters.lost += 1;
            return;
        }
        at += link.latency + self.rng.duration_below(link.jitter);
        if self.rng.chance(link.reorder) {
            at += self.rng.duration_below(link.latency * 4);
        }
        if self.rng.chance(link.corrupt) && !arrival.bytes.is_empty() {
            self.corrupt(&mut arrival);
        }
        let tick = micros(self.tick).max(1);
        at = Instant::from_micros(at.as_micros().div_ceil(tick) * tick);
        self.number += 1;
        self.in_flight.push(Reverse(InFlight {
            at,
            number: self.number,
            arrival,
        }));
    }

    /// Flips one to eight bits. Flipping the same bit twice is no corruption.
    fn corrupt(&mut self, arrival: &mut Arrival) {
        let before = arrival.bytes.clone();
        for _ in 0..=self.rng.below(8) {
            let place = self.rng.index(arrival.bytes.len());
            arrival.bytes[place] ^= 1 << self.rng.below(8);
        }
        if arrival.bytes != before {
            arrival.origin.corrupted = true;
            self.counters.corrupted += 1;
        }
    }

    /// Time of the next arrival.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(flight)| flight.at)
    }

    /// The next datagram that has arrived by `now`, at the host that then has its address.
    pub fn arrive(&mut self, now: Instant) -> Option<Arrival> {
        while self.next_arrival()? <= now {
            let Reverse(InFlight { mut arrival, .. }) = self.in_flight.pop()?;
            let Some(&(host, inner)) = self.reachable.get(&arrival.to) else {
                self.counters.nowhere += 1;
                continue;
            };
            arrival.host = host;
            arrival.to = inner;
            self.counters.delivered += 1;
            return Some(arrival);
        }
        None
    }

    fn direction(&mut self, from: Option<HostId>, to: HostId) -> &mut Direction {
        self.directions
            .entry((from, to))
            .or_insert_with(|| Direction {
                link: self.default.clone(),
                busy_until: Instant::ZERO,
                drop_range: 0..0,
                sent: 0,
            })
    }
}

fn bytes_in(time: Duration, rate: u64) -> u64 {
    let bytes = time.as_micros() * u128::from(rate) / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
