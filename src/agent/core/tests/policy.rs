//! A policy that a test changes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::agent::access::testing::TestAccounts;
use crate::agent::access::{
    Accounts, FaultKind, FileFault, InviteRefused, Policy, PolicyBuilder, PolicySource,
    Registration,
};
use crate::agent::switch::Switch;
use crate::crypto::{InviteToken, PublicKey};
use crate::wire::limits::INVITE;

/// Token that the guest shows.
pub const INVITATION: [u8; INVITE] = [7; INVITE];

/// Lines of `authorized_keys` for Alice and Bob, and for the guest once it has registered. [`INVITATION`]
/// is open.
pub struct TestPolicy {
    lines: HashMap<PublicKey, String>,
    exec: Switch,
    invitation: Switch,
    /// On while the files cannot be read.
    suspended: Switch,
}

impl TestPolicy {
    pub fn new(lines: HashMap<PublicKey, String>) -> Self {
        Self {
            lines,
            exec: Switch::On,
            invitation: Switch::On,
            suspended: Switch::Off,
        }
    }

    /// Lists a key; `line` is its name and options.
    pub fn list(&mut self, key: PublicKey, line: &str) {
        self.lines.insert(key, line.into());
    }

    /// Removes a key.
    pub fn remove(&mut self, key: PublicKey) {
        self.lines.remove(&key);
    }

    /// Lets the invitation expire.
    pub fn expire_invitation(&mut self) {
        self.invitation = Switch::Off;
    }

    /// Says whether the files cannot be read.
    pub const fn suspend(&mut self, suspended: Switch) {
        self.suspended = suspended;
    }

    /// Switches commands off for all keys.
    pub fn switch_exec_off(&mut self) {
        self.exec = Switch::Off;
    }
}

impl PolicySource for Rc<RefCell<TestPolicy>> {
    fn policy(&self) -> Arc<Policy> {
        let lines = &self.borrow().lines;
        let lines = lines.iter().map(|(key, line)| format!("{key} {line}\n"));
        let hash = InviteToken::from_bytes(INVITATION).hash();
        let mut builder = PolicyBuilder::default();
        builder.add_keys(lines.collect::<String>(), Path::new("authorized_keys"));
        if self.borrow().invitation == Switch::On {
            builder.add_invites(format!("{hash} 600\n"), Path::new("invites"));
        }
        if self.borrow().suspended == Switch::On {
            let mut builder = PolicyBuilder::default();
            let kind = FaultKind::Unanswered;
            let words = String::new();
            builder.add_unusable_keys(FileFault { kind, words }, Path::new("authorized_keys"));
            return Arc::new(builder.finish().0);
        }
        let (policy, problems) = builder.finish();
        assert!(problems.is_empty(), "{problems:?}");
        Arc::new(policy.with_exec(self.borrow().exec))
    }

    fn accounts(&self) -> &dyn Accounts {
        &TestAccounts
    }

    fn unix_now(&self) -> u64 {
        0
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        requested: &str,
    ) -> Registration {
        if *invite != INVITATION {
            return Registration::Decided(Err(InviteRefused));
        }
        self.borrow_mut().list(*key, requested);
        Registration::Decided(Ok(requested.into()))
    }
}
