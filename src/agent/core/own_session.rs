//! Sessions of the agent's own user at its prompt, which no network carries.
//!
//! Not what is said in them: events and commands are those of any session. Invariant: such a session has the rights that
//! its key has from this host, and no more.

use std::collections::BTreeMap;

use super::session_state::{SessionState, Usage};
use super::{Service, authorize};
use crate::agent::access::{Controller, Denied, PolicySource, own_address};
use crate::agent::jobs::{OwnedRequest, Processes};
use crate::session::SessionHandle;
use crate::time::Instant;

/// Handles of sessions that are accepted from the network are not below.
const ACCEPTED: u64 = 1 << 63;

/// Returns true if the session is one of the prompt.
#[must_use]
pub const fn is_own(session: SessionHandle) -> bool {
    session.0 < ACCEPTED
}

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Opens a session of a key. Its handle is new and satisfies [`is_own`].
    ///
    /// # Errors
    /// [`Denied`]: the key may not connect from this host.
    pub fn open_own(
        &mut self,
        now: Instant,
        session: SessionHandle,
        key: crate::crypto::PublicKey,
    ) -> Result<(), Denied> {
        let remote = own_address();
        let name = authorize(&self.policy, &key, Some(remote), None)?;
        let state = SessionState {
            controller: Controller { key, name, remote },
            opened: now,
            confirmed: true,
            revoked: false,
            invite: None,
            calls: BTreeMap::new(),
            counted: Usage::default(),
        };
        self.sessions.insert(session, state);
        Ok(())
    }

    /// Returns the requests of sessions of the prompt, also under an earlier agent over the same supervisor, whose
    /// results nobody has collected and to which no other controller has attached; the oldest first.
    #[must_use]
    pub fn own_requests(&self) -> Vec<OwnedRequest> {
        self.jobs.requests_of_prompt()
    }
}
