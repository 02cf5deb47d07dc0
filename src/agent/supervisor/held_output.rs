//! Output that is held for running commands until their controllers have written it, by key.
//!
//! Not the bytes, which are in the rings. Invariant: the number of a key is the sum of those of its jobs.

use std::collections::HashMap;

use crate::agent::jobs::JobId;
use crate::agent::limits::{LANE_BEYOND, OUTPUT_PER_KEY};
use crate::crypto::PublicKey;

/// Numbers of bytes.
#[derive(Default, Debug)]
pub struct HeldOutput {
    jobs: HashMap<JobId, u64>,
    keys: HashMap<PublicKey, u64>,
}

impl HeldOutput {
    /// Enters the number of bytes that are held for a job, in the place of the one before.
    pub fn set(&mut self, id: JobId, key: PublicKey, bytes: u64) {
        let before = if bytes == 0 {
            self.jobs.remove(&id)
        } else {
            self.jobs.insert(id, bytes)
        };
        let before = before.unwrap_or(0);
        if before == bytes {
            return;
        }
        let of_key = self.keys.entry(key).or_default();
        *of_key = of_key.saturating_sub(before).saturating_add(bytes);
        if *of_key == 0 {
            self.keys.remove(&key);
        }
    }

    /// Number of bytes that may be held now of one output of a key that holds much, of which `kept` stay after they were
    /// written; `None` for a key that does not.
    pub fn lane(&self, key: &PublicKey, kept: u64) -> Option<u64> {
        let of_key = self.keys.get(key).copied().unwrap_or(0);
        (of_key >= OUTPUT_PER_KEY).then_some(kept + LANE_BEYOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_much_output_holds_little_more_and_the_others_as_before() {
        let [key, other] = [[1; 32], [2; 32]].map(PublicKey);
        let mut held = HeldOutput::default();
        held.set(JobId(1), key, OUTPUT_PER_KEY - 1);
        assert_eq!(held.lane(&key, 5), None);
        held.set(JobId(2), key, 1);
        assert_eq!(held.lane(&key, 5), Some(5 + LANE_BEYOND));
        assert_eq!(held.lane(&other, 5), None);
        held.set(JobId(1), key, 7);
        assert_eq!(held.lane(&key, 5), None);
        held.set(JobId(1), key, 0);
        held.set(JobId(2), key, 0);
        assert!(held.jobs.is_empty() && held.keys.is_empty());
    }
}
