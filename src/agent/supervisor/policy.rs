//! The current policy of the supervisor, loaded from its files.
//!
//! Not the decisions ([`Policy`]). Invariant: the front gets the texts that this policy was made of.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::access::{
    Accounts, InviteRefused, Policy, PolicyFiles, PolicySource, Problem, Registration, Sources,
    invite,
};
use crate::agent::switch::Switch;
use crate::crypto::{InviteToken, PublicKey};
use crate::message::OsText;
use crate::process::{Account, AccountError, CgroupLimits, RefusedVariable, clean_environment};
use crate::wire::limits::INVITE;

/// Origin of the policy.
#[derive(Clone, Debug)]
pub enum Trust {
    /// These keys and no others, all without restrictions.
    Keys(Vec<PublicKey>),
    /// Files, loaded again when they change.
    Files(Sources),
}

/// The current policy. Clones share it.
#[derive(Clone, Debug)]
pub struct SharedPolicy {
    current: Arc<RwLock<Arc<Policy>>>,
    exec: Switch,
    cgroup_limits: CgroupLimits,
    sources: Option<Sources>,
    account: Arc<Account>,
}

/// Reason why no key was listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RedeemFailed {
    /// Another program changes the files at present.
    Locked,
    /// The invitation was refused.
    Refused,
}

/// Returns the seconds since 1970, by which keys and invitations expire.
#[must_use]
pub fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

impl SharedPolicy {
    /// Loads the policy for the first time. `exec` switches commands on or off for all keys.
    #[must_use]
    pub fn new(trust: Trust, exec: Switch, cgroup_limits: CgroupLimits) -> Self {
        let (policy, sources) = match trust {
            Trust::Keys(keys) => (Policy::of_keys(&keys), None),
            Trust::Files(sources) => (Policy::default(), Some(sources)),
        };
        let shared = Self {
            current: Arc::new(RwLock::new(Arc::new(
                policy.with_exec(exec).with_cgroup_limits(cgroup_limits),
            ))),
            exec,
            cgroup_limits,
            sources,
            account: Arc::new(Account::current()),
        };
        shared.reload();
        shared
    }

    /// Loads the policy again. Returns the number of errors in its files.
    pub fn reload(&self) -> usize {
        let Some(sources) = &self.sources else {
            return 0;
        };
        let (policy, problems) = sources.load();
        problems.iter().for_each(report);
        let policy = policy.with_exec(self.exec);
        let policy = Arc::new(policy.with_cgroup_limits(self.cgroup_limits));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = policy;
        problems.len()
    }

    /// Texts of the files that the policy was made of.
    pub fn files(&self) -> Option<PolicyFiles> {
        self.sources.as_ref().map(Sources::read)
    }

    /// Keys of a policy without files.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        self.policy().members().map(|member| member.key).collect()
    }

    /// User who runs the agent.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Files that the policy is loaded from.
    #[must_use]
    pub const fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    /// Time until the next key or invitation expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        let now = unix_now();
        let at = self.policy().next_expiry(now)?;
        Some(Duration::from_secs(at.saturating_sub(now)))
    }
}

fn report(problem: &Problem) {
    tracing::warn!("{problem}");
}

impl PolicySource for SharedPolicy {
    fn policy(&self) -> Arc<Policy> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn accounts(&self) -> &dyn Accounts {
        &*self.account
    }

    fn unix_now(&self) -> u64 {
        unix_now()
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        requested: &str,
    ) -> Registration {
        let redeemed = self.redeem(key, invite, requested);
        Registration::Decided(redeemed.map_err(|_| InviteRefused))
    }
}

impl SharedPolicy {
    /// Lists a key and uses its invitation up. Does not wait for another program that changes the files.
    ///
    /// # Errors
    /// [`RedeemFailed`]
    pub fn redeem(
        &self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        requested: &str,
    ) -> Result<String, RedeemFailed> {
        let sources = self.sources.as_ref().ok_or(RedeemFailed::Refused)?;
        let token = InviteToken::from_bytes(*invite);
        let member = invite::redeem(&sources.agent, key, requested, &token, unix_now());
        let member = member.map_err(|error| match error {
            invite::RedeemError::Locked => RedeemFailed::Locked,
            error => {
                tracing::warn!("an invitation was refused: {error}");
                RedeemFailed::Refused
            }
        })?;
        self.reload();
        Ok(member.name)
    }
}

impl Accounts for Account {
    fn own_name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    fn check_user(&self, user: &str) -> Result<(), AccountError> {
        self.may_become(user)
    }

    fn check_variables(&self, variables: &[(OsText, OsText)]) -> Result<(), RefusedVariable> {
        let pairs = variables.iter();
        let pairs = pairs.map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        clean_environment(self, pairs).map(drop)
    }
}
