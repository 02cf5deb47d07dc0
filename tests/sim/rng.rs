//! Seeded random choices: the only source of chance in a simulated run.
//!
//! Every part of a run (network, hosts, scenario) has a generator of its own, so that one more choice in
//! one part does not change another.

use std::time::Duration;

use udpagent::rng::Rng;
use udpagent::time::micros;

/// A source of choices, determined by a seed and a purpose.
#[derive(Debug)]
pub struct SimRng(Rng);

impl SimRng {
    /// The generator for one purpose of the run `seed`.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(seeded_rng(seed, purpose))
    }

    /// True with probability `p`. Draws nothing if `p` is 0, so that a perfect link costs nothing.
    pub fn chance(&mut self, p: f64) -> bool {
        if p <= 0.0 {
            return false;
        }
        // 53 bits: what a double holds exactly.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let thrown = (self.0.u64() >> 11) as f64 / (1u64 << 53) as f64;
        thrown < p
    }

    /// A number from 0 up to, not including, `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.u64() % n.max(1)
    }

    /// An index into something with `n` places.
    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).expect("below an usize")
    }

    /// A duration from zero up to, not including, `limit`.
    pub fn duration_below(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(self.below(micros(limit)))
    }

    /// A duration from `low` up to, not including, `high`.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + self.duration_below(high.saturating_sub(low))
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.0.fill(&mut out);
        out
    }

    /// Shuffles a list.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.index(i + 1));
        }
    }
}

/// The random source of an endpoint in the run `seed`.
pub fn seeded_rng(seed: u64, purpose: &str) -> Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    for (i, byte) in purpose.bytes().enumerate() {
        let place = &mut bytes[8 + i % 24];
        *place = place.rotate_left(3) ^ byte;
    }
    Rng::from_seed(bytes)
}
