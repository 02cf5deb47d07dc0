//! Where randomness enters: once per endpoint, from the operating system.

use std::io;

use zeroize::Zeroizing;

use crate::rng::Rng;

/// A source seeded by the operating system.
///
/// # Errors
/// When the system has no randomness to give.
pub fn rng() -> io::Result<Rng> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(io::Error::from)?;
    Ok(Rng::from_seed(*seed))
}
