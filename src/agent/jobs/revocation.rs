//! The end of jobs that a changed policy does not allow any more.
//!
//! Not the decision, and not the sessions of the keys concerned.

use super::job::Job;
use super::{Jobs, Processes, Role};
use crate::agent::access::PolicySource;
use crate::agent::outbox::CallRef;
use crate::message::Cause;
use crate::peer_addr::PeerAddr;
use crate::session::SessionHandle;

impl<P: Processes> Jobs<P> {
    /// Ends all jobs that the policy does not allow any more. `address_of` returns the address of a session.
    pub fn end_denied(
        &mut self,
        source: &dyn PolicySource,
        address_of: impl Fn(SessionHandle) -> Option<PeerAddr>,
    ) {
        let (policy, now) = (source.policy(), source.unix_now());
        let allowed = |job: &Job| {
            let session = job.attached.map(|attached| attached.call.session);
            // Without a session, the address that it was requested from counts.
            let from = session.and_then(&address_of).unwrap_or(job.owner.remote);
            let Some(command) = &job.command else {
                return false;
            };
            let key = &job.owner.key;
            let decided =
                policy.authorize_running(key, Some(from), command, source.accounts(), now);
            decided.is_ok()
        };
        self.end_all_but(allowed, Cause::Revoked);
    }

    /// Returns true if a call receives the result of a job that is being ended or has ended.
    #[must_use]
    pub fn is_ending(&self, call: CallRef) -> bool {
        let job = match self.calls.get(&call) {
            Some(&(Role::Attached(id) | Role::Waiting(id))) => self.table.get(id),
            Some(Role::Forgotten) | None => None,
        };
        job.is_some_and(|job| job.cause.is_some() || !job.is_running())
    }
}
