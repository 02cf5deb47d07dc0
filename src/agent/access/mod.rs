//! Access control: the keys that may open a session, and the commands that they may run.
//!
//! [`Policy`] decides. [`Sources`] reads `authorized_keys`, the open invitations and the controller key of
//! the agent's own user as plain data ([`PolicyFiles`]), which [`PolicyFiles::policy`] makes a policy. A new
//! policy is loaded when one of the files changes. Not here: watching the files, ending sessions, reading
//! the clock.
//!
//! Invariant: errors deny. A file or line that cannot be read, parsed or trusted admits no key, and neither
//! is any key admitted implicitly that it may restrict. Errors are reported with file and line.

mod authorized_keys;
mod copy_rule;
mod denied;
mod destination;
mod exec_policy;
mod expiry;
mod file_content;
mod ineffective;
pub mod invite;
mod line_error;
mod look_alike;
mod member;
mod option_words;
mod options;
mod own_user;
mod pattern;
mod policy;
mod policy_builder;
mod policy_files;
mod policy_source;
mod problem;
mod revoke;
mod running_command;
mod sources;
mod users;

pub use authorized_keys::{name_apart, quote_option};
pub use copy_rule::{CopyGrant, CopyRule};
pub use denied::Denied;
pub use destination::DestinationPattern;
pub use exec_policy::{Accounts, Grant};
pub use file_content::{Content, FaultKind, FileFault, PolicyFile};
pub use line_error::LineError;
pub use look_alike::look_alike;
pub use member::{Member, Origin, SAME_USER};
pub use options::Options;
pub use own_user::OwnUser;
pub use pattern::{Pattern, PatternError};
pub use policy::{Admission, Policy, authorization};
pub use policy_builder::PolicyBuilder;
pub use policy_files::PolicyFiles;
pub use policy_source::{Controller, InviteRefused, PolicySource, Registration, own_address};
pub use problem::Problem;
pub use revoke::{RevokeError, Revoked, revoke};
pub use running_command::RunningCommand;
pub use sources::Sources;
pub use users::Users;

#[cfg(test)]
pub(super) mod testing {
    //! Fixtures of the tests of this module.

    use std::path::Path;

    use super::{Accounts, Policy, PolicyBuilder};
    use crate::crypto::{PublicKey, SecretKey};
    use crate::home::AgentHome;
    use crate::message::{Exec, OsText, RequestId};
    use crate::process::{AccountError, RefusedVariable};
    use crate::rng::Rng;

    /// Accounts of a host where root runs the agent, which can become any user but `ghost`.
    pub struct TestAccounts;

    impl Accounts for TestAccounts {
        fn own_name(&self) -> String {
            "root".to_owned()
        }

        fn check_user(&self, user: &str) -> Result<(), AccountError> {
            if user.starts_with("ghost") {
                return Err(AccountError::NoSuchUser);
            }
            Ok(())
        }

        fn check_variables(&self, _: &[(OsText, OsText)]) -> Result<(), RefusedVariable> {
            Ok(())
        }
    }

    /// Returns the key of a seed.
    pub fn key(seed: u8) -> PublicKey {
        SecretKey::generate(&mut Rng::from_seed([seed; 32])).public()
    }

    /// Returns the policy of these lines of `authorized_keys`.
    pub fn policy_of_lines(lines: &str) -> Policy {
        let mut builder = PolicyBuilder::default();
        builder.add_keys(lines, Path::new("authorized_keys"));
        let (policy, problems) = builder.finish();
        assert!(problems.is_empty(), "{problems:?}");
        policy
    }

    /// Returns a policy with `key(1)` alone, restricted by these options.
    pub fn policy(options: &[&str]) -> Policy {
        let options = options.iter().map(|option| match option.split_once('=') {
            Some((name, value)) => format!(" {name}='{value}'"),
            None => format!(" {option}"),
        });
        policy_of_lines(&format!("{} alice{}", key(1), options.collect::<String>()))
    }

    /// Returns a request for a plain command.
    pub fn request<S: AsRef<str>>(argv: &[S]) -> Exec {
        let argv = argv.iter().map(|word| word.as_ref().into()).collect();
        Exec::new(RequestId([1; 16]), argv)
    }

    /// Returns true if the policy lets the key run the command.
    pub fn may_run<S: AsRef<str>>(policy: &Policy, key: &PublicKey, argv: &[S]) -> bool {
        policy
            .authorize_exec(key, None, &request(argv), &TestAccounts, 0)
            .is_ok()
    }

    /// Returns the agent's directories in a new temporary directory.
    pub fn home_in() -> (tempfile::TempDir, AgentHome) {
        let directory = tempfile::tempdir().unwrap();
        let home = AgentHome::at(directory.path());
        (directory, home)
    }
}
