//! The answers about keys: one snapshot of the access policy, shared by the authorizer on the network thread and
//! by the service.
//!
//! Not what the policy say ([`Access`]). Invariant: both sides see the same snapshot, and a new one counts
//! from the moment that it is loaded.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::access::policy_source::{Permission, Policy, Refused};
use crate::agent::access::{Access, Problem, Sources, invite};
use crate::crypto::{InviteToken, PublicKey};
use crate::escape;
use crate::message::Exec;
use crate::message::limits::NAME;
use crate::peer_addr::PeerAddr;
use crate::process::{Account, clean_environment};
use crate::session::Authorizer;
use crate::wire::limits::INVITE;

/// Where the policy come from.
#[derive(Clone, Debug)]
pub enum Trust {
    /// These keys and no others, all without restriction.
    Keys(Vec<PublicKey>),
    /// Files, loaded again when they change.
    Files(Sources),
}

/// The policy. Clones share them.
#[derive(Clone, Debug)]
pub struct SharedPolicy {
    access: Arc<RwLock<Arc<Access>>>,
    sources: Option<Sources>,
    account: Arc<Account>,
}

/// Seconds since 1970: what expires does so by the calendar.
#[must_use]
pub fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

impl SharedPolicy {
    /// Loads them for the first time.
    pub fn new(trust: Trust) -> Self {
        let (access, sources) = match trust {
            Trust::Keys(keys) => (Access::of_keys(&keys), None),
            Trust::Files(sources) => (Access::default(), Some(sources)),
        };
        let policy = Self {
            access: Arc::new(RwLock::new(Arc::new(access))),
            sources,
            account: Arc::new(Account::current()),
        };
        policy.reload();
        policy
    }

    /// Loads them again.
    pub fn reload(&self) {
        if let Some(sources) = &self.sources {
            let (access, problems) = sources.load();
            problems.iter().for_each(report);
            let mut current = self.access.write().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new(access);
        }
    }

    /// The files that they come from.
    pub const fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    /// How long until something expires.
    pub fn next_expiry(&self) -> Option<Duration> {
        let now = unix_now();
        let at = self.current().next_expiry(now)?;
        Some(Duration::from_secs(at.saturating_sub(now)))
    }

    fn current(&self) -> Arc<Access> {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&access)
    }
}

fn report(problem: &Problem) {
    tracing::warn!("{problem}");
}

impl Authorizer for SharedPolicy {
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        from: PeerAddr,
        invite: Option<&[u8; INVITE]>,
    ) -> bool {
        let access = self.current();
        access.admit(key, from.ip(), invite, unix_now()).is_some()
    }
}

impl Policy for SharedPolicy {
    fn name(&self, key: &PublicKey, from: Option<PeerAddr>) -> Option<String> {
        let access = self.current();
        let member = access.member(key)?;
        let admitted = match from {
            Some(from) => member.admitted(from.ip(), unix_now()),
            None => !member.options.is_expired(unix_now()),
        };
        admitted.then(|| member.name.clone())
    }

    fn permit(&self, key: &PublicKey, exec: &Exec) -> Option<Permission> {
        let access = self.current();
        let env = exec.env.iter();
        let env = env.map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        if let Err(refused) = clean_environment(&self.account, env) {
            tracing::warn!(request = %exec.id, "{refused}");
            return None;
        }
        let own = self.account.name.to_string_lossy();
        let permit = access.member(key)?.judge(exec, &own);
        let user = permit
            .inspect_err(|refusal| tracing::info!(request = %exec.id, "{refusal}"))
            .ok()?
            .user;
        if let Err(unreachable) = self.account.reach(user) {
            let user = escape::line(user.as_bytes(), NAME);
            tracing::warn!(request = %exec.id, "user {user}: {unreachable}");
            return None;
        }
        let user = user.to_owned();
        Some(Permission { user })
    }

    fn max_jobs(&self, key: &PublicKey) -> Option<usize> {
        let access = self.current();
        let most = access.member(key)?.options.max_jobs?;
        usize::try_from(most).ok()
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        wish: &str,
    ) -> Result<String, Refused> {
        let sources = self.sources.as_ref().ok_or(Refused)?;
        let token = InviteToken::from_bytes(*invite);
        let member = invite::redeem(&sources.agent, key, wish, &token, unix_now());
        let member = member.map_err(|error| {
            tracing::warn!("an invitation was not taken: {error}");
            Refused
        })?;
        self.reload();
        Ok(member.name)
    }
}
