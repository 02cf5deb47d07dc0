//! Counters of an agent since its start, and the times at which keys were seen.
//!
//! Not those of the network, which the front counts: here are the last ones that it has reported. Invariant: no counter
//! decreases, also when the front is replaced; what a front counted after its last report is lost with it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::agent::audit;
use crate::agent::ipc::FrontCounts;
use crate::agent::owner::limits::{CONNECTIONS, KEYS_SEEN};
use crate::crypto::PublicKey;
use crate::message::Outcome;

/// Counters and times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tally {
    /// Time of the start, RFC 3339.
    pub since: String,
    /// Number of times that the files were read again.
    pub reloads: u64,
    /// Number of times that the program was replaced.
    pub replacements: u64,
    /// Number of fronts.
    pub fronts: u64,
    /// Number of those that were ended for the replacement of the program.
    #[serde(default)]
    pub dismissed: u64,
    /// Number of ended commands by the name of their outcome.
    pub ended: BTreeMap<String, u64>,
    seen: HashMap<PublicKey, String>,
    /// Counters of the fronts that are gone.
    gone: FrontCounts,
    /// Counters that the front has reported last.
    current: FrontCounts,
    /// Number of the last question for them, and of the last answer.
    asked: u64,
    answered: u64,
}

impl Tally {
    /// Returns counters at 0.
    pub fn new() -> Self {
        Self {
            since: audit::now(),
            reloads: 0,
            replacements: 0,
            fronts: 0,
            dismissed: 0,
            ended: BTreeMap::new(),
            seen: HashMap::new(),
            gone: FrontCounts::default(),
            current: FrontCounts::default(),
            asked: 0,
            answered: 0,
        }
    }

    /// Number of fronts that have taken the place of one that had ended unexpectedly.
    pub const fn front_restarts(&self) -> u64 {
        self.fronts.saturating_sub(1).saturating_sub(self.dismissed)
    }

    /// Counts an ended command.
    pub fn command_ended(&mut self, outcome: Outcome) {
        let name = outcome.row().name.to_owned();
        *self.ended.entry(name).or_default() += 1;
    }

    /// Enters the time at which a session of a key was opened or ended. Keys beyond the bound are not entered.
    pub fn key_seen(&mut self, key: PublicKey) {
        if self.seen.len() < KEYS_SEEN || self.seen.contains_key(&key) {
            self.seen.insert(key, audit::now());
        }
    }

    /// Returns the time at which a key was seen last.
    pub fn last_seen(&self, key: &PublicKey) -> Option<&String> {
        self.seen.get(key)
    }

    /// Returns the number of a question for the counters, or `None` if a front that does not answer has enough of them.
    pub const fn ask(&mut self) -> Option<u64> {
        if self.asked - self.answered >= CONNECTIONS as u64 {
            return None;
        }
        self.asked += 1;
        Some(self.asked)
    }

    /// Takes the answer to a question.
    pub fn on_counted(&mut self, number: u64, counts: FrontCounts) {
        if number > self.answered && number <= self.asked {
            self.answered = number;
            self.current = counts;
        }
    }

    /// Returns true if a question was answered.
    pub const fn has_answer(&self, number: u64) -> bool {
        self.answered >= number
    }

    /// Processes the end of a front.
    pub fn on_front_lost(&mut self) {
        self.gone = self.counts();
        self.current = FrontCounts::default();
        // Its questions will have no answer, and the numbers of those of the next one are higher.
        self.asked += CONNECTIONS as u64;
        self.answered = self.asked;
    }

    /// Counters of all fronts together.
    pub fn counts(&self) -> FrontCounts {
        FrontCounts {
            net: self.gone.net.plus(&self.current.net),
            log_dropped: self
                .gone
                .log_dropped
                .saturating_add(self.current.log_dropped),
        }
    }
}
