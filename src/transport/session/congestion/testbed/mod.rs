//! Test bed for congestion controllers: one path and the bulk senders on it, in simulated time.
//!
//! The path is one bottleneck with a drop-tail queue before it and random loss behind it; the
//! return path is loss-free. Not the project's simulator: no protocol runs here, only sizes and
//! times. Invariant: the seed determines the whole run.

mod flow;

pub use flow::{DATAGRAM, Demand, Flow};

use std::time::Duration;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use crate::time::{Instant, micros};

/// Properties of the path.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes per second.
    pub rate: u64,
    /// Round trip with an empty queue.
    pub rtt: Duration,
    /// Bytes that the queue holds.
    pub queue: u64,
    /// Packets lost at random, per thousand.
    pub loss: u64,
    /// Bytes in the queue above which packets are marked Congestion Experienced.
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

/// The bottleneck, with statistics since the last call of [`Testbed::run`].
pub struct Path {
    pub link: Link,
    /// Every packet is lost until this time.
    pub dark_until: Instant,
    busy_until: Instant,
    /// Loss of the link. A fixed stream of its own: the product's source may change its output.
    rng: ChaCha20Rng,
    max_queue: u64,
    queue_sum: u64,
    packets: u64,
}

/// Outcome of sending a packet.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Dropped, because the queue is full.
    Dropped,
    /// Lost at random, behind the bottleneck.
    Lost,
    /// Acknowledged: the acknowledgement arrives at `at`.
    Acknowledged { at: Instant, ce: bool },
}

impl Path {
    fn queue(&self, now: Instant) -> u64 {
        self.link.rate * micros(self.busy_until.since(now)) / 1_000_000
    }

    fn send(&mut self, now: Instant) -> Fate {
        let queue = self.queue(now);
        self.packets += 1;
        self.queue_sum += queue;
        if queue > self.link.queue {
            return Fate::Dropped;
        }
        self.max_queue = self.max_queue.max(queue);
        self.busy_until = self.busy_until.max(now)
            + Duration::from_micros((DATAGRAM * 1_000_000).div_ceil(self.link.rate));
        if self.rng.next_u64() % 1000 < self.link.loss || now < self.dark_until {
            return Fate::Lost;
        }
        Fate::Acknowledged {
            at: self.busy_until + self.link.rtt,
            ce: self.link.mark_above.is_some_and(|bound| queue > bound),
        }
    }
}

/// Statistics over a period.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Bytes delivered for each flow.
    pub each: Vec<u64>,
    pub delivered: u64,
    pub dropped: u64,
    pub sent: u64,
    pub max_queue: u64,
    pub mean_queue: u64,
}

pub struct Testbed {
    pub now: Instant,
    pub path: Path,
    pub flows: Vec<Flow>,
}

impl Testbed {
    pub fn new(link: Link, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let now = Instant::from_micros(1_000_000);
        Self {
            now,
            path: Path {
                link,
                dark_until: Instant::ZERO,
                busy_until: now,
                rng: ChaCha20Rng::from_seed(bytes),
                max_queue: 0,
                queue_sum: 0,
                packets: 0,
            },
            flows: vec![Flow::new(now, seed)],
        }
    }

    /// Adds a sender.
    pub fn join(&mut self) {
        let seed = self.path.rng.next_u64();
        self.flows.push(Flow::new(self.now, seed));
    }

    /// Runs for `time` and returns the statistics of that period.
    pub fn run(&mut self, time: Duration) -> Seen {
        (self.path.max_queue, self.path.queue_sum, self.path.packets) = (0, 0, 0);
        let before: Vec<_> = self.flows.iter().map(|flow| flow.tally).collect();
        let end = self.now + time;
        let mut wakes: Vec<_> = self.flows.iter().map(|_| self.now).collect();
        loop {
            let (flow, at) = wakes
                .iter()
                .copied()
                .enumerate()
                .min_by_key(|(_, at)| *at)
                .expect("a model has at least one flow");
            if at >= end {
                break;
            }
            assert!(at >= self.now);
            self.now = at;
            wakes[flow] = self.flows[flow].turn(at, &mut self.path).unwrap_or(end);
        }
        self.now = end;
        let mut seen = Seen {
            max_queue: self.path.max_queue,
            mean_queue: self.path.queue_sum / self.path.packets.max(1),
            ..Seen::default()
        };
        for (flow, before) in self.flows.iter().zip(before) {
            let delivered = flow.tally.delivered - before.delivered;
            seen.each.push(delivered);
            seen.delivered += delivered;
            seen.sent += flow.tally.sent - before.sent;
            seen.dropped += flow.tally.dropped - before.dropped;
        }
        seen
    }

    /// Returns the window of the first flow.
    pub fn window(&self) -> u64 {
        self.flows[0].controller.window()
    }

    /// Returns the pacing rate of the first flow.
    pub fn pacing_rate(&self) -> u64 {
        self.flows[0].controller.pacing_rate()
    }
}
