//! Bounds and timing of what `udpctl` does, each with its reason.

use std::time::Duration;

/// How long an agent that does not answer is waited for, unless the user says otherwise.
pub const CONTACT_TIMEOUT: Duration = Duration::from_secs(10);

/// A host with several addresses: the next one is tried after this, as RFC 8305 §5 proposes.
pub const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// How long an agent that fell silent is asked again: the lease that it holds the job for by default.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Addresses tried of one host.
pub const ADDRESSES: usize = 4;

/// Sessions of one attempt: the one in use, one that has just answered, one that is tried.
pub const LEGS: usize = 3;
