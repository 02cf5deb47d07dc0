//! The current policy of the supervisor, loaded from its files.
//!
//! Not the decisions ([`Policy`]). Invariant: the front gets the texts that this policy was made of.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::access::{
    Accounts, InviteRefused, Policy, PolicyFiles, PolicySource, Problem, Registration, Sources,
};
use crate::agent::switch::Switch;
use crate::crypto::PublicKey;
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
    current: Arc<RwLock<Current>>,
    exec: Switch,
    cgroup_limits: CgroupLimits,
    sources: Option<Sources>,
    account: Arc<Account>,
}

/// A policy, and the files that it was made of.
#[derive(Debug)]
struct Current {
    policy: Arc<Policy>,
    files: Option<PolicyFiles>,
}

/// Returns the seconds since 1970, by which keys and invitations expire.
#[must_use]
pub fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

impl SharedPolicy {
    /// Loads the policy for the first time, and waits for the files. `exec` switches commands on or off for all keys.
    #[must_use]
    pub fn new(trust: Trust, exec: Switch, cgroup_limits: CgroupLimits) -> Self {
        let (policy, sources) = match trust {
            Trust::Keys(keys) => (Policy::of_keys(&keys), None),
            Trust::Files(sources) => (Policy::default(), Some(sources)),
        };
        let policy = policy.with_exec(exec).with_cgroup_limits(cgroup_limits);
        let shared = Self {
            current: Arc::new(RwLock::new(Current {
                policy: Arc::new(policy),
                files: None,
            })),
            exec,
            cgroup_limits,
            sources,
            account: Arc::new(Account::current()),
        };
        shared.load();
        shared
    }

    /// Loads the policy, and waits for the files.
    pub fn load(&self) {
        if let Some(sources) = &self.sources {
            let _ = self.replace(sources.read());
        }
    }

    /// Replaces the policy by that of other texts. Returns the number of errors in them.
    #[must_use]
    pub fn replace(&self, files: PolicyFiles) -> usize {
        let (policy, problems) = files.policy();
        problems.iter().for_each(report);
        let policy = policy.with_exec(self.exec);
        let policy = Arc::new(policy.with_cgroup_limits(self.cgroup_limits));
        let files = Some(files);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { policy, files };
        problems.len()
    }

    /// Texts of the files that the policy was made of.
    #[must_use]
    pub fn files(&self) -> Option<PolicyFiles> {
        self.current().files.clone()
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
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
        Arc::clone(&self.current().policy)
    }

    fn accounts(&self) -> &dyn Accounts {
        &*self.account
    }

    fn unix_now(&self) -> u64 {
        unix_now()
    }

    fn register(&mut self, _: &PublicKey, _: &[u8; INVITE], _: &str) -> Registration {
        // The supervisor redeems invitations by a worker.
        Registration::Decided(Err(InviteRefused))
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
