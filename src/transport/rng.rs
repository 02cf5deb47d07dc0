//! The injected random source of all ids, keys, nonces and jitter.
//!
//! A ChaCha20 key stream from a 32-byte seed. The binaries seed it from the operating system, once per
//! endpoint (see `net::seed`); the simulator from its own seed, so that a run can be repeated to the byte.
//!
//! Invariant (fast key erasure): output that was drawn cannot be computed from the state. The first bytes
//! of each block of key stream replace the key that made it, and the rest is wiped as it is drawn. So a
//! later image of the process's memory does not reveal the ephemeral keys of earlier handshakes.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Size of the key in bytes.
const KEY: usize = 32;

/// Number of output bytes per key: the generator computes 256 bytes in one step, and the first ones are the
/// next key.
const BUFFER: usize = 256 - KEY;

/// A cryptographic random source with an explicit seed.
///
/// The state is in a box, so that moving the source leaves no copy of it in memory.
pub struct Rng(Box<State>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct State {
    key: [u8; KEY],
    /// Output: wiped below `drawn`, available from there on.
    buffer: [u8; BUFFER],
    drawn: usize,
}

impl Rng {
    /// Creates a source whose output is determined by `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let mut state = Box::new(State {
            key: [0; KEY],
            buffer: [0; BUFFER],
            drawn: BUFFER,
        });
        state.key.copy_from_slice(&*seed);
        Self(state)
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, mut out: &mut [u8]) {
        let state = &mut *self.0;
        while !out.is_empty() {
            if state.drawn == BUFFER {
                state.renew();
            }
            let left = &mut state.buffer[state.drawn..];
            let size = out.len().min(left.len());
            let (head, tail) = out.split_at_mut(size);
            head.copy_from_slice(&left[..size]);
            left[..size].zeroize();
            state.drawn += size;
            out = tail;
        }
    }

    /// Returns an array of random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// Returns a random integer over the whole range.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// Creates an independent source, seeded from this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.bytes())
    }
}

impl State {
    /// Replaces the key with the start of its own key stream, and the buffer with the bytes that follow.
    fn renew(&mut self) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(&mut self.buffer);
        self.drawn = 0;
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7539 appendix A.1, test vectors 1 and 2: the key stream of the zero key.
    #[test]
    fn the_first_bytes_of_the_key_stream_become_the_key_and_the_next_ones_the_output() {
        let mut rng = Rng::from_seed([0; 32]);
        let first: [u8; 8] = rng.bytes();
        assert_eq!(first, [0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d]);
        assert_eq!(rng.0.key[..4], [0x76, 0xb8, 0xe0, 0xad]);
    }

    #[test]
    fn a_memory_image_does_not_reveal_earlier_output() {
        let mut rng = Rng::from_seed([7; 32]);
        for draws in 1..100 {
            let drawn: [u8; 32] = rng.bytes();
            let image = [&rng.0.key[..], &rng.0.buffer[..]].concat();
            let found = |part: &[u8]| image.windows(part.len()).any(|window| window == part);
            assert!(!drawn.chunks(4).any(found), "draw {draws}");
            // The key stream of the key in the image does not contain it either.
            let mut stream = [0; 4096];
            ChaCha20Rng::from_seed(rng.0.key).fill_bytes(&mut stream);
            let found = |part: &[u8]| stream.windows(part.len()).any(|window| window == part);
            assert!(!drawn.chunks(8).any(found), "draw {draws}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_in_chunks_of_any_size() {
        let mut whole = [0; 1000];
        Rng::from_seed([7; 32]).fill(&mut whole);
        for size in [1, 7, 8, 32, 223, 224, 225, 999] {
            let mut rng = Rng::from_seed([7; 32]);
            let mut chunks = [0; 1000];
            chunks.chunks_mut(size).for_each(|chunk| rng.fill(chunk));
            assert_eq!(chunks, whole, "{size}");
        }
    }

    #[test]
    fn a_fork_and_its_origin_differ() {
        let mut rng = Rng::from_seed([7; 32]);
        let mut fork = rng.fork();
        assert_ne!(fork.u64(), rng.u64());
    }
}
