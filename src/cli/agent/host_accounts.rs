//! The accounts of this host for commands that may wait for the user database.

use crate::agent::access::Accounts;
use crate::message::OsText;
use crate::process::{Account, AccountError, RefusedVariable, check_user};

/// Accounts that are looked up, unlike those of a running agent, which learns at the start of a command what is wrong.
pub struct HostAccounts(pub Account);

impl Accounts for HostAccounts {
    fn own_name(&self) -> String {
        self.0.own_name()
    }

    fn check_user(&self, user: &str) -> Result<(), AccountError> {
        check_user(&self.0, user)
    }

    fn check_variables(&self, variables: &[(OsText, OsText)]) -> Result<(), RefusedVariable> {
        self.0.check_variables(variables)
    }
}
