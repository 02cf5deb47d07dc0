//! Answers about jobs that are not in the table: used and forgotten, or never used since the agent started.
//!
//! Not the ids themselves, which are in the [register](super::register). Invariant: a forgotten id is `expired` in every
//! kind of call, so that a user reads the same of it.

use super::replies;
use super::{Jobs, Processes};
use crate::agent::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::{Outcome, Reply, RequestId};

impl<P: Processes> Jobs<P> {
    /// Answers a call about an id that is not in the table.
    pub(super) fn answer_unknown(
        &self,
        call: CallRef,
        key: &PublicKey,
        id: RequestId,
        outbox: &mut Outbox,
    ) {
        if self.forgotten(key, id).is_some() {
            replies::send_refusal(call, Outcome::Expired {}, None, outbox);
        } else {
            outbox.last_reply(call, &Reply::NoJob {});
        }
    }

    /// Returns the answer about an id that was used and forgotten.
    pub(super) fn forgotten(&self, key: &PublicKey, id: RequestId) -> Option<Reply> {
        let known = self.table.register().find(key, id);
        known.map(|_| replies::refusal(Outcome::Expired {}, None))
    }
}
