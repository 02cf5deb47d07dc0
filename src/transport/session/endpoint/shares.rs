//! Shares of the sessions in the bounds of their keys and of the endpoint.
//!
//! Not the counts of the keys, which are in `accounts`. Invariant: what a session holds is counted once.

use super::{AddressRule, Authorization, Endpoint, Index};
use crate::session::Path;

impl Endpoint {
    /// Tells a session before a datagram what it may hold, and one of an agent what holds for the address.
    pub(super) fn prepare(&mut self, index: Index, path: Path) {
        let growth = self.window_growth_left(index);
        let session = &mut self.slots[index].session;
        let (Some(identity), Some(admission)) = (&session.identity, &self.admission) else {
            session.streams.set_window_allowance(growth);
            return;
        };
        session
            .streams
            .set_allowance(admission.accounts.left(identity.account));
        session.streams.set_window_allowance(growth);
        if !session.is_validated(path.remote)
            && let Some(authorizer) = &mut self.config.authorizer
        {
            let (key, invite) = (&identity.key, identity.invite.as_ref());
            let authorization = authorizer.authorize_session(key, path.remote, invite);
            session.address_rule = match authorization {
                Authorization::Admitted { address, .. } => address,
                Authorization::Denied => AddressRule::Validated,
            };
        }
    }

    /// Returns the number of bytes by which the windows of a session may grow.
    pub(super) fn window_growth_left(&self, index: Index) -> u64 {
        let left = self.config.window_growth.saturating_sub(self.window_growth);
        match (&self.slots[index].session.identity, &self.admission) {
            (Some(identity), Some(admission)) => {
                left.min(admission.accounts.left(identity.account).window_growth)
            }
            _ => left,
        }
    }

    /// Accounts what a session holds, also to its key.
    pub(super) fn account(&mut self, index: Index) {
        let session = &mut self.slots[index].session;
        let held = session.held();
        let old = std::mem::replace(&mut session.accounted, held);
        self.window_growth = self.window_growth - old.window_growth + held.window_growth;
        if let (Some(identity), Some(admission)) = (&session.identity, &mut self.admission) {
            admission.accounts.replace(identity.account, old, held);
        }
    }
}
