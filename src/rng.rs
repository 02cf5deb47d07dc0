//! The injected random source: ids, keys, nonces and jitter all come from here.
//!
//! A ChaCha20 key stream from a 32-byte seed. The binaries seed it from the operating system, once
//! per endpoint; the simulator from its own seed, so that a run can be repeated to the byte.
//! Not the place that asks the operating system: that is `net::seed`.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A cryptographic random source with an explicit seed.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// A source whose whole output is determined by `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// Random bytes, as an array.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A random integer over the whole range.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// An independent source, seeded from this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.bytes())
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng(..)")
    }
}
