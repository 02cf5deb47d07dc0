//! User, groups and capabilities of the front.

use rustix::io::Result;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use serde::{Deserialize, Serialize};

use super::Ids;

/// User of a restricted process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Identity {
    /// The user who started it, who is not root.
    Kept,
    /// Root without capabilities: the owner of its files, without other rights.
    WithoutCapabilities,
    /// The user that exists for it.
    Dedicated,
}

/// Becomes `user`, if that is possible, and drops all capabilities.
pub fn reduce(user: Option<Ids>) -> Identity {
    let dedicated = user.is_some_and(|user| become_user(user).is_ok());
    // The rights to files of a capability would otherwise outlast a change of the user that has failed. To drop
    // capabilities is always allowed.
    let dropped = set_capabilities(None, NONE).is_ok();
    match (dedicated, geteuid().is_root()) {
        (true, _) => Identity::Dedicated,
        (false, true) if dropped => Identity::WithoutCapabilities,
        (false, _) => Identity::Kept,
    }
}

const NONE: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// Changes the ids of this thread, which is the only one.
fn become_user(user: Ids) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}
