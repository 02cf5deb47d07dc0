//! A path and a bulk sender, in simulated time: what a controller is tried on.
//!
//! One bottleneck of a rate, with a drop-tail queue before it and random loss behind it; the way back
//! is clean. Not the project's simulator: no protocol runs here, only sizes and times. Everything is
//! determined by the seed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Acked, Controller, DeliveryRate, Lost, Pacer, PacketState};
use crate::rng::Rng;
use crate::session::rtt::RttEstimator;
use crate::time::{Instant, micros};

pub const DATAGRAM: u64 = 1200;

/// The path.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes per second.
    pub rate: u64,
    /// Round trip without queue.
    pub rtt: Duration,
    /// Bytes that may wait.
    pub queue: u64,
    /// Packets lost at random, per thousand.
    pub loss: u64,
    /// Packets are marked when this many bytes wait.
    pub mark_above: Option<u64>,
}

impl Link {
    pub fn new(megabits: u64, rtt_ms: u64, queue_bdp_percent: u64, loss_permille: u64) -> Self {
        let rate = megabits * 125_000;
        Self {
            rate,
            rtt: Duration::from_millis(rtt_ms),
            queue: rate * rtt_ms / 1000 * queue_bdp_percent / 100,
            loss: loss_permille,
            mark_above: None,
        }
    }
}

/// What the application has to send.
#[derive(Clone, Copy, Debug)]
pub enum Demand {
    Endless,
    /// So many bytes a second, a piece every 10 ms.
    Rate(u64),
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    state: PacketState,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    packet: u64,
    ce: bool,
}

/// What was seen over a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub delivered: u64,
    pub dropped: u64,
    pub sent: u64,
    pub max_queue: u64,
    pub mean_queue: u64,
}

pub struct Model {
    pub link: Link,
    pub demand: Demand,
    pub controller: Box<dyn Controller>,
    pub now: Instant,
    pub rtt: RttEstimator,
    pacer: Pacer,
    rate: DeliveryRate,
    rng: Rng,
    next: u64,
    flight: BTreeMap<u64, Sent>,
    in_flight: u64,
    largest_acked: Option<u64>,
    /// When the bottleneck is through with what it has.
    busy_until: Instant,
    acks: VecDeque<Arrival>,
    offered: u64,
    pto_backoff: u32,
    /// As it was before the ACK in work.
    largest_acked_before: Option<u64>,
    seen: Seen,
    queue_samples: u64,
    queue_sum: u64,
    /// Nothing gets through until then.
    pub dark_until: Instant,
}

impl Model {
    pub fn new(link: Link, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let now = Instant::from_micros(1_000_000);
        Self {
            link,
            demand: Demand::Endless,
            controller: super::new(now, DATAGRAM, seed),
            now,
            rtt: RttEstimator::new(Duration::from_millis(100)),
            pacer: Pacer::new(now),
            rate: DeliveryRate::default(),
            rng: Rng::from_seed(bytes),
            next: 0,
            flight: BTreeMap::new(),
            in_flight: 0,
            largest_acked: None,
            busy_until: now,
            acks: VecDeque::new(),
            offered: 0,
            pto_backoff: 0,
            largest_acked_before: None,
            seen: Seen::default(),
            queue_samples: 0,
            queue_sum: 0,
            dark_until: Instant::ZERO,
        }
    }

    /// Runs for so long, and tells what was seen meanwhile.
    pub fn run(&mut self, time: Duration) -> Seen {
        self.seen = Seen::default();
        (self.queue_samples, self.queue_sum) = (0, 0);
        let end = self.now + time;
        while self.now < end {
            let ready = self.send();
            let ack = self.acks.front().map(|ack| ack.at);
            let timer = self.timer();
            let next = [ready, ack, timer].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next < end) else {
                self.now = end;
                break;
            };
            assert!(next >= self.now);
            self.now = next;
            if ack == Some(next) {
                self.receive();
            } else if timer == Some(next) {
                self.expired();
            }
        }
        self.seen.mean_queue = self.queue_sum / self.queue_samples.max(1);
        self.seen
    }

    pub fn queue(&self) -> u64 {
        self.link.rate * micros(self.busy_until.since(self.now)) / 1_000_000
    }

    /// Sends what may leave; tells when to try again, if that is known.
    fn send(&mut self) -> Option<Instant> {
        loop {
            if self.in_flight + DATAGRAM > self.controller.window() {
                return None;
            }
            if let Demand::Rate(rate) = self.demand {
                let tick = self.now.as_micros() / 10_000 - 100;
                if self.offered + DATAGRAM > rate * tick / 100 {
                    self.rate.on_app_limited(self.in_flight);
                    return Some(Instant::from_micros((tick + 101) * 10_000));
                }
            }
            let rate = self.controller.pacing_rate();
            if self.pacer.allowance(self.now, rate) < DATAGRAM {
                let at = self.pacer.ready_at(self.now, DATAGRAM, rate);
                assert!(at > self.now, "a sender that waits must not spin");
                return Some(at);
            }
            self.send_one();
        }
    }

    fn send_one(&mut self) {
        let state = self.rate.on_sent(self.now, self.in_flight);
        self.pacer.on_sent(DATAGRAM);
        self.offered += DATAGRAM;
        self.in_flight += DATAGRAM;
        self.controller.on_sent(self.now, DATAGRAM, self.in_flight);
        let packet = self.next;
        self.next += 1;
        self.flight.insert(
            packet,
            Sent {
                at: self.now,
                state,
            },
        );
        self.seen.sent += DATAGRAM;
        let queue = self.queue();
        self.queue_samples += 1;
        self.queue_sum += queue;
        if queue + DATAGRAM > self.link.queue + DATAGRAM {
            self.seen.dropped += DATAGRAM;
            return;
        }
        self.seen.max_queue = self.seen.max_queue.max(queue);
        self.busy_until = self.busy_until.max(self.now)
            + Duration::from_micros((DATAGRAM * 1_000_000).div_ceil(self.link.rate));
        let lost = self.rng.u64() % 1000 < self.link.loss || self.now < self.dark_until;
        if !lost {
            self.seen.delivered += DATAGRAM;
            self.acks.push_back(Arrival {
                at: self.busy_until + self.link.rtt,
                packet,
                ce: self.link.mark_above.is_some_and(|bound| queue > bound),
            });
        }
    }

    /// Everything that is acknowledged by now, in one ACK.
    fn receive(&mut self) {
        let (mut bytes, mut ce, mut newest) = (0, false, None);
        self.largest_acked_before = self.largest_acked;
        while self.acks.front().is_some_and(|ack| ack.at <= self.now) {
            let ack = self.acks.pop_front().unwrap();
            let Some(sent) = self.flight.remove(&ack.packet) else {
                continue;
            };
            self.rate.on_acked(self.now, &sent.state, sent.at, DATAGRAM);
            self.in_flight -= DATAGRAM;
            bytes += DATAGRAM;
            ce |= ack.ce;
            newest = Some(self.now.since(sent.at));
            self.largest_acked = self.largest_acked.max(Some(ack.packet));
        }
        if let Some(rtt) = newest {
            self.rtt.on_sample(rtt, Duration::ZERO);
            self.pto_backoff = 0;
        }
        let rate = self.rate.take_sample(self.rtt.min());
        let acked = Acked {
            bytes,
            in_flight: self.in_flight,
            rtt: newest,
            min_rtt: self.rtt.min(),
            rate,
            app_limited: false,
            ce,
        };
        if bytes > 0 {
            self.controller.on_acked(self.now, &acked);
        }
        self.detect_lost();
    }

    /// RFC 9002 §6.1, and persistent congestion after three probe timeouts of silence.
    fn detect_lost(&mut self) {
        let Some(largest) = self.largest_acked else {
            return;
        };
        let delay = self.rtt.loss_delay();
        let lost: Vec<u64> = self
            .flight
            .range(..largest)
            .take_while(|(packet, sent)| **packet + 3 <= largest || sent.at + delay <= self.now)
            .map(|(packet, _)| *packet)
            .collect();
        self.lose(&lost);
    }

    fn lose(&mut self, lost: &[u64]) {
        let Some(newest) = lost.last() else {
            return;
        };
        let newest_sent = self.flight[newest].at;
        // Between packets acknowledged earlier and those acknowledged now, nothing arrived.
        let silent = lost
            .iter()
            .find(|packet| Some(**packet) > self.largest_acked_before)
            .map_or(Duration::ZERO, |packet| {
                newest_sent.since(self.flight[packet].at)
            });
        for packet in lost {
            self.flight.remove(packet);
            self.in_flight -= DATAGRAM;
        }
        self.controller.on_lost(
            self.now,
            &Lost {
                bytes: DATAGRAM * lost.len() as u64,
                in_flight: self.in_flight,
                newest_sent,
                persistent: silent > self.rtt.pto() * 3,
            },
        );
    }

    /// The probe or loss timer.
    fn timer(&self) -> Option<Instant> {
        let (packet, first) = self.flight.first_key_value()?;
        if self.largest_acked.is_some_and(|largest| *packet < largest) {
            return Some((first.at + self.rtt.loss_delay()).max(self.now));
        }
        let newest = self.flight.last_key_value()?.1;
        Some((newest.at + self.rtt.pto() * 2u32.pow(self.pto_backoff.min(5))).max(self.now))
    }

    fn expired(&mut self) {
        let before = self.flight.len();
        self.detect_lost();
        if self.flight.len() == before {
            self.pto_backoff += 1;
            self.send_one();
        }
    }
}
