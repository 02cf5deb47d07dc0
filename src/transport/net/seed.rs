//! The seed of each endpoint's random source, drawn from the operating system.

use std::io;

use zeroize::Zeroizing;

use crate::rng::Rng;

/// Creates a random source seeded by the operating system.
///
/// # Errors
/// Fails if the operating system returns no random bytes.
pub fn rng() -> io::Result<Rng> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(io::Error::from)?;
    Ok(Rng::from_seed(*seed))
}
