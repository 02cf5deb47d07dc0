//! The decision about a session by the listed keys and the open invitations.
//!
//! [`Policy`] is an immutable snapshot. It opens no file and reads no clock:
//! [`Sources`](super::Sources) loads the files, and the caller passes the time. A command is decided in
//! [`exec_policy`](super::exec_policy).
//!
//! Invariant: errors deny. A line that cannot be read, parsed or trusted admits no key, whatever other
//! rule would admit its key.

use crate::peer_addr::PeerAddr;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::member::SAME_USER;
use super::{Denied, Member, Options, Origin, OwnUser, invite};
use crate::agent::switch::Switch;
use crate::crypto::{InviteToken, PublicKey};
use crate::process::{CgroupController, CgroupLimits};
use crate::session::{AddressRule, AdmittedBy, Authorization};
use crate::wire::limits::INVITE;

/// The keys that may open a session, and the commands that they may run.
#[derive(Clone, Debug)]
pub struct Policy {
    members: HashMap<PublicKey, Member>,
    /// Keys of lines with errors.
    pub(super) refused: HashSet<PublicKey>,
    pub(super) invites: Vec<invite::Record>,
    pub(super) own_user: OwnUser,
    /// Key of the own user's controller, if it is known.
    pub(super) own_key: Option<PublicKey>,
    /// True if a change of the files could not be read.
    pub(super) suspended: bool,
    /// Off if no key may run a command.
    pub(super) exec: Switch,
    /// Limits of the cgroup of each job whose key has none of its own.
    pub(super) cgroup_limits: CgroupLimits,
}

/// An authorised session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission<'a> {
    /// The key is listed.
    Member(&'a Member),
    /// The key is not listed, but has an open invitation: it may register and do nothing else.
    Invited,
}

impl Admission<'_> {
    /// Returns the name of a listed key.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Member(member) => Some(&member.name),
            Self::Invited => None,
        }
    }
}

/// Returns the decision of a policy for the session layer. Whether an invitation restricts the address does not
/// matter there: its address is always validated first.
#[must_use]
pub fn authorization(
    policy: &Policy,
    key: &PublicKey,
    from: PeerAddr,
    invite: Option<&[u8; INVITE]>,
    now_unix: u64,
) -> Authorization {
    let (by, restricted) = match policy.authorize_session(key, Some(from), invite, now_unix) {
        Ok(Admission::Member(member)) => (AdmittedBy::Key, member.options.restricts_from()),
        Ok(Admission::Invited) => (AdmittedBy::Invite, true),
        Err(_) => return Authorization::Denied,
    };
    let address = if restricted {
        AddressRule::Validated
    } else {
        AddressRule::Any
    };
    Authorization::Admitted { by, address }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            members: HashMap::new(),
            refused: HashSet::new(),
            invites: Vec::new(),
            own_user: OwnUser::NoKey,
            own_key: None,
            suspended: false,
            exec: Switch::On,
            cgroup_limits: CgroupLimits::default(),
        }
    }
}

impl Policy {
    /// Returns a policy with these keys alone, without restrictions, for `--local`.
    #[must_use]
    pub fn of_keys(keys: &[PublicKey]) -> Self {
        let mut policy = Self::default();
        for key in keys {
            policy.insert(Member {
                key: *key,
                name: SAME_USER.to_owned(),
                options: Options {
                    admin: true,
                    ..Options::default()
                },
                origin: Origin::Given,
            });
        }
        policy
    }

    /// True if it admits nobody because a change of the files could not be read. It says nothing about those who were
    /// admitted before.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Returns this policy with commands switched on or off for all keys (`exec` in the configuration).
    #[must_use]
    pub const fn with_exec(mut self, exec: Switch) -> Self {
        self.exec = exec;
        self
    }

    /// Returns the controllers that apply the limits of all keys.
    #[must_use]
    pub fn cgroup_controllers(&self) -> BTreeSet<CgroupController> {
        let of_keys = self.members().map(|member| member.options.cgroup_limits);
        let all = of_keys.chain([self.cgroup_limits]);
        all.flat_map(|limits| limits.controllers()).collect()
    }

    /// Returns this policy with limits of the cgroup of each job, for keys that have none of their own (`[cgroup]`
    /// in the configuration).
    #[must_use]
    pub const fn with_cgroup_limits(mut self, limits: CgroupLimits) -> Self {
        self.cgroup_limits = limits;
        self
    }

    /// Authorises a session, when it is opened and again whenever the policy, the address or the time has
    /// changed. `from` is `None` where the address does not matter: for a job that outlives its session.
    /// `now_unix` is in seconds since 1970. An invitation does not change the rights of a listed key.
    ///
    /// # Errors
    /// [`Denied`]
    pub fn authorize_session(
        &self,
        key: &PublicKey,
        from: Option<PeerAddr>,
        invite: Option<&[u8; INVITE]>,
        now_unix: u64,
    ) -> Result<Admission<'_>, Denied> {
        if self.suspended {
            return Err(Denied::Suspended);
        }
        if let Some(member) = self.members.get(key) {
            check_options(&member.options, from, now_unix)?;
            return Ok(Admission::Member(member));
        }
        let invite = invite.filter(|_| !self.refused.contains(key));
        let token = InviteToken::from_bytes(*invite.ok_or(Denied::NotListed)?);
        let mut records = self.invites.iter();
        let record = records.find(|record| record.matches(&token));
        let open = record.filter(|record| record.is_open(now_unix));
        // The options' own expiry is that of the key once it is listed.
        check_from(&open.ok_or(Denied::NotListed)?.options, from)?;
        Ok(Admission::Invited)
    }

    /// Authorises the use of the owner's tools, each time one is used. `from` and `now_unix` are as in
    /// [`authorize_session`](Self::authorize_session).
    ///
    /// # Errors
    /// [`Denied`]
    pub fn authorize_admin(
        &self,
        key: &PublicKey,
        from: Option<PeerAddr>,
        now_unix: u64,
    ) -> Result<&Member, Denied> {
        match self.authorize_session(key, from, None, now_unix)? {
            Admission::Member(member) if member.options.admin => Ok(member),
            Admission::Member(_) => Err(Denied::NotAdmin),
            Admission::Invited => Err(Denied::NotListed),
        }
    }

    /// Returns the member with a key.
    #[must_use]
    pub fn member(&self, key: &PublicKey) -> Option<&Member> {
        self.members.get(key)
    }

    /// Returns all members, in arbitrary order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Returns the time after `now_unix` at which the next key or invitation expires; sessions must
    /// be authorised again then.
    #[must_use]
    pub fn next_expiry(&self, now_unix: u64) -> Option<u64> {
        let members = self.members().filter_map(|member| member.options.expires);
        let invites = self.invites.iter().map(|record| record.expires);
        members
            .chain(invites)
            .filter(|expires| *expires > now_unix)
            .min()
    }

    /// State of the admission of the own user's controller without a line.
    #[must_use]
    pub const fn own_user(&self) -> &OwnUser {
        &self.own_user
    }

    /// Returns the key of the own user's controller, if it is known, whether or not it is admitted.
    #[must_use]
    pub const fn own_key(&self) -> Option<PublicKey> {
        self.own_key
    }

    pub(super) fn insert(&mut self, member: Member) {
        self.members.insert(member.key, member);
    }

    /// Refuses a key, whatever line it has.
    pub(super) fn refuse(&mut self, key: PublicKey) {
        self.members.remove(&key);
        self.refused.insert(key);
    }

    pub(super) fn is_known(&self, key: &PublicKey) -> bool {
        self.members.contains_key(key) || self.refused.contains(key)
    }
}

fn check_options(options: &Options, from: Option<PeerAddr>, now_unix: u64) -> Result<(), Denied> {
    if options.is_expired(now_unix) {
        return Err(Denied::Expired);
    }
    check_from(options, from)
}

fn check_from(options: &Options, from: Option<PeerAddr>) -> Result<(), Denied> {
    match from {
        Some(from) if !options.admits_from(from.ip()) => Err(Denied::Address(from.ip())),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::agent::access::testing::{key, policy};

    #[test]
    fn only_a_key_with_admin_may_use_the_owners_tools_and_only_as_long_as_it_may_connect() {
        let admin = policy(&["admin", "expires=1970-01-01T00:01:00Z"]);
        assert!(admin.authorize_admin(&key(1), None, 59).is_ok());
        let denied = |policy: &Policy, now| policy.authorize_admin(&key(1), None, now).err();
        assert_eq!(denied(&admin, 60), Some(Denied::Expired));
        assert_eq!(denied(&policy(&[]), 0), Some(Denied::NotAdmin));
        assert_eq!(denied(&Policy::default(), 0), Some(Denied::NotListed));
    }

    #[test]
    fn address_and_expiry_are_checked_for_a_session() {
        let policy = policy(&["from=10.0.0.0/8", "expires=1970-01-01T00:01:00Z"]);
        let [inside, outside] =
            [[10, 1, 2, 3], [11, 1, 2, 3]].map(|ip| PeerAddr::from(SocketAddr::from((ip, 4444))));
        let denied = |from, now_unix| {
            policy
                .authorize_session(&key(1), from, None, now_unix)
                .err()
        };
        assert_eq!(denied(Some(inside), 59), None);
        assert_eq!(denied(None, 59), None);
        assert_eq!(denied(Some(inside), 60), Some(Denied::Expired));
        assert_eq!(denied(None, 60), Some(Denied::Expired));
        assert_eq!(
            denied(Some(outside), 59),
            Some(Denied::Address(outside.ip()))
        );
        let no_ip = PeerAddr::from_id(7);
        assert_eq!(denied(Some(no_ip), 59), Some(Denied::Address(None)));
    }
}
