//! The properties of one direction of a path between two hosts.

use std::time::Duration;

use crate::rng::SimRng;

/// Payload of an Ethernet frame over IPv4.
pub const ETHERNET: usize = 1472;

/// One direction of a path between two hosts.
#[derive(Clone, Debug)]
pub struct Link {
    /// One-way delay.
    pub latency: Duration,
    /// Maximum additional delay, chosen anew for each datagram. Reorders by itself.
    pub jitter: Duration,
    /// Share of datagrams that never arrive.
    pub loss: f64,
    /// Share that arrives twice.
    pub duplicate: f64,
    /// Share that is held back by up to four times the latency.
    pub reorder: f64,
    /// Share in which one to eight bits are flipped.
    pub corrupt: f64,
    /// Bytes per second, headers included; `None` for no limit.
    pub rate: Option<u64>,
    /// Bytes that the queue of a link with a rate holds; more is dropped at the tail.
    pub queue: u64,
    /// Datagrams marked Congestion Experienced when more than this waits, if they allow it.
    pub mark_above: u64,
    /// Maximum payload; larger datagrams are dropped silently.
    pub mtu: usize,
}

impl Link {
    /// A link without impairments.
    pub const fn perfect(latency: Duration) -> Self {
        Self {
            latency,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            rate: None,
            queue: u64::MAX,
            mark_above: u64::MAX,
            mtu: ETHERNET,
        }
    }

    /// A link with random loss only.
    pub const fn lossy(latency: Duration, loss: f64) -> Self {
        Self {
            loss,
            ..Self::perfect(latency)
        }
    }

    /// A bottleneck.
    pub const fn narrow(latency: Duration, rate: u64, queue: u64) -> Self {
        Self {
            rate: Some(rate),
            queue,
            ..Self::perfect(latency)
        }
    }

    /// A link with every impairment at once, in an amount that a session must survive.
    pub fn impaired(rng: &mut SimRng) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let mut share = |percent: u64| rng.below(percent * 10 + 1) as f64 / 1000.0;
        let (loss, duplicate, reorder, corrupt) = (share(25), share(15), share(20), share(5));
        let latency = rng.between(Duration::from_micros(50), Duration::from_millis(120));
        let rate = rng.chance(0.3).then(|| 125_000 + rng.below(2_500_000));
        Self {
            latency,
            jitter: rng.duration_below(latency / 2 + Duration::from_micros(1)),
            loss,
            duplicate,
            reorder,
            corrupt,
            rate,
            queue: 15_000 + rng.below(200_000),
            mark_above: if rng.chance(0.5) { 10_000 } else { u64::MAX },
            mtu: if rng.chance(0.3) {
                1200 + rng.index(300)
            } else {
                65_507
            },
        }
    }
}
