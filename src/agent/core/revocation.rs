//! The end of sessions whose keys may no longer connect.
//!
//! Not the decision. Invariant: from then on such a session carries nothing but the results of commands that are being
//! ended, and only for a bounded time: no request and no input of it is taken.

use super::Service;
use crate::agent::access::PolicySource;
use crate::agent::jobs::Processes;
use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::message::CloseCode;
use crate::session::SessionHandle;
use crate::time::Instant;
use crate::wire::Lane;

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Closes a session: once its controller has the results of the commands that are being ended, and at once if there
    /// are none.
    pub(super) fn revoke(&mut self, now: Instant, session: SessionHandle) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        state.revoked = true;
        let calls: Vec<_> = state.calls.keys().copied().collect();
        for call in calls.into_iter().map(|call| CallRef { session, call }) {
            if !self.jobs.is_ending(call) {
                self.abandon(now, call);
            }
        }
        self.revoked
            .push_back((now + limits::REVOKED_SESSION, session));
        self.close_if_answered(now, session);
    }

    /// Closes a session whose key may no longer connect, if no result is left for it.
    pub(super) fn close_if_answered(&mut self, now: Instant, session: SessionHandle) {
        let state = self.sessions.get(&session);
        if state.is_some_and(|state| state.revoked && state.calls.is_empty()) {
            self.close_revoked(now, session);
        }
    }

    /// Closes the sessions whose controllers have not taken their results in time.
    pub(super) fn close_overdue(&mut self, now: Instant) {
        while let Some(&(at, session)) = self.revoked.front()
            && at <= now
        {
            self.revoked.pop_front();
            self.close_revoked(now, session);
        }
    }

    fn close_revoked(&mut self, now: Instant, session: SessionHandle) {
        let (code, reason) = (CloseCode::Revoked, "this key may no longer connect");
        self.close(now, session, code, reason);
    }

    /// Processes data of a session whose key may no longer connect: only the end of a call counts.
    pub(super) fn on_late_data(&mut self, now: Instant, call: CallRef, lane: Lane, fin: bool) {
        if lane == Lane::Control && fin {
            self.on_fin(now, call);
        }
    }

    /// Returns true if the key of a session may no longer connect.
    pub(super) fn is_revoked(&self, session: SessionHandle) -> bool {
        let state = self.sessions.get(&session);
        state.is_some_and(|state| state.revoked)
    }
}
