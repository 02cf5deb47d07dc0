//! Log lines about denied sessions of listed keys.
//!
//! Not those of strangers, who leave no trace. Invariant: a key has at most one line in a minute, however often it
//! tries.

use std::collections::HashMap;

use super::limits::{DENIAL_INTERVAL, DENIALS};
use crate::agent::access::{Denied, Policy};
use crate::crypto::PublicKey;
use crate::peer_addr::PeerAddr;
use crate::time::Instant;

/// Times of the last lines.
#[derive(Clone, Default, Debug)]
pub struct SessionDenials {
    last: HashMap<PublicKey, Instant>,
}

impl SessionDenials {
    /// Logs a denial, unless the key has a line already.
    pub fn write(
        &mut self,
        now: Instant,
        policy: &Policy,
        key: &PublicKey,
        address: PeerAddr,
        denied: &Denied,
    ) {
        let mut members = policy.members();
        let Some(member) = members.find(|member| member.key == *key) else {
            return;
        };
        if self.is_due(now, key) {
            let name = &member.name;
            tracing::info!(event = "denied", %key, name, %address, "session denied: {denied}");
        }
    }

    fn is_due(&mut self, now: Instant, key: &PublicKey) -> bool {
        self.last
            .retain(|_, then| now.since(*then) < DENIAL_INTERVAL);
        if self.last.contains_key(key) || self.last.len() >= DENIALS {
            return false;
        }
        self.last.insert(*key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::key;

    #[test]
    fn a_denied_key_has_one_line_in_a_minute() {
        let mut denials = SessionDenials::default();
        let now = Instant::from_micros(1);
        assert!(denials.is_due(now, &key(1)));
        assert!(!denials.is_due(now, &key(1)));
        assert!(denials.is_due(now, &key(2)), "another key has its own");
        assert!(denials.is_due(now + DENIAL_INTERVAL, &key(1)));
        for number in 0..=255 {
            denials.is_due(now, &PublicKey([number; 32]));
        }
        assert!(denials.last.len() <= DENIALS);
    }
}
