//! The current policy of the front, shared by the session layer on the network thread and by the service.
//!
//! Not the decisions ([`Policy`]) and not the files, which the supervisor reads. Invariant: both users see the same
//! snapshot, and a new one takes effect as soon as it arrives.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::session_denials::SessionDenials;
use crate::agent::access::{Accounts, Policy, PolicySource, Registration, authorization};
use crate::agent::ipc::Feed;
use crate::agent::supervisor::unix_now;
use crate::agent::switch::Switch;
use crate::crypto::PublicKey;
use crate::message::OsText;
use crate::net::Clock;
use crate::peer_addr::PeerAddr;
use crate::process::{Account, AccountError, RefusedVariable};
use crate::session::{Authorization, Authorizer};
use crate::wire::limits::INVITE;

/// The current policy. Clones share it.
#[derive(Clone)]
pub struct FrontPolicy {
    current: Arc<RwLock<Arc<Policy>>>,
    exec: Switch,
    account: Arc<Account>,
    denials: SessionDenials,
}

impl FrontPolicy {
    /// Returns the first policy. `account` is the user who runs the supervisor; `wake` wakes the front's loop.
    pub fn new(
        feed: &Feed,
        exec: Switch,
        account: Account,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let policy = Self {
            current: Arc::default(),
            exec,
            account: Arc::new(account),
            denials: SessionDenials::new(wake),
        };
        policy.replace(feed);
        policy
    }

    /// Replaces the policy.
    pub fn replace(&self, feed: &Feed) {
        let policy = match feed {
            Feed::Keys(keys) => Policy::of_keys(keys),
            // The supervisor has reported the problems.
            Feed::Files(files) => files.policy().0,
        };
        let policy = Arc::new(policy.with_exec(self.exec));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Denied sessions.
    pub const fn denials(&self) -> &SessionDenials {
        &self.denials
    }

    /// Time until the next key or invitation expires.
    pub fn next_expiry(&self) -> Option<Duration> {
        let now = unix_now();
        let at = self.policy().next_expiry(now)?;
        Some(Duration::from_secs(at.saturating_sub(now)))
    }
}

impl Authorizer for FrontPolicy {
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        from: PeerAddr,
        invite: Option<&[u8; INVITE]>,
    ) -> Authorization {
        let policy = self.policy();
        let now = unix_now();
        if let Err(denied) = policy.authorize_session(key, Some(from), invite, now) {
            self.denials.push(Clock.now(), &policy, key, from, denied);
        }
        authorization(&policy, key, from, invite, now)
    }
}

impl PolicySource for FrontPolicy {
    fn policy(&self) -> Arc<Policy> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn unix_now(&self) -> u64 {
        unix_now()
    }

    /// The supervisor has the files.
    fn register(&mut self, _: &PublicKey, _: &[u8; INVITE], _: &str) -> Registration {
        Registration::Asked
    }
}

impl Accounts for FrontPolicy {
    fn own_name(&self) -> String {
        self.account.own_name()
    }

    fn check_user(&self, user: &str) -> Result<(), AccountError> {
        self.account.check_user(user)
    }

    fn check_variables(&self, variables: &[(OsText, OsText)]) -> Result<(), RefusedVariable> {
        self.account.check_variables(variables)
    }
}
