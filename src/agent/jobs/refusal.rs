//! The refusal of a request: the outcome for the controller, and the reason for the log.

use crate::agent::access::Denied;
use crate::message::Outcome;

/// The answer to a request that starts nothing.
#[derive(Debug)]
pub struct Refusal {
    /// Outcome for the controller.
    pub outcome: Outcome,
    /// Reason for the log, if the policy denies the request.
    pub denied: Option<Denied>,
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        let denied = None;
        Self { outcome, denied }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self {
            outcome: Outcome::Denied {},
            denied: Some(denied),
        }
    }
}
