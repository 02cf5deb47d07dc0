//! Numbers of ports on a command line of ssh(1).
//!
//! Invariant: a port is not 0, and has digits only.

use anyhow::{Context as _, Result};

/// Parses a port.
pub fn port(text: &str) -> Result<u16> {
    let port = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let port = port
        .and_then(|text| text.parse().ok())
        .filter(|&port| port != 0);
    port.with_context(|| format!("Bad port '{text}'"))
}
