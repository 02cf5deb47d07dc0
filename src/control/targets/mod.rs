//! The targets of a command: sets in ClusterShell's notation, groups and names of the inventory, lists in files.
//!
//! Not their addresses, which [`host_resolver`](super::host_resolver) finds. Invariant: a target is in a selection once,
//! and one selection has at most [`limits::TARGETS`](super::limits::TARGETS).

mod ansible;
mod error;
mod exec_group;
mod expression;
mod group_name;
mod hosts_file;
mod inventory;
mod list;
mod syntax;
#[cfg(test)]
mod tests;

pub use ansible::Format;
pub use error::TargetsError;
pub use expression::{Expression, Groups};
pub use group_name::GroupName;
pub use inventory::Inventory;
pub use list::{read_text, text_of};
pub use syntax::ParseExpressionError;

use indexmap::IndexSet;

use self::expression::matcher;
use self::list::sets_of_list;
use super::limits;
use crate::net::Target;

/// Sets to add, and sets to leave out.
#[derive(Default, Debug)]
pub struct Selection {
    /// Sets of which the targets are.
    pub of: Vec<Expression>,
    /// Sets of which they are not.
    pub without: Vec<Expression>,
}

impl Selection {
    /// Adds the sets of a list: one a line, `#` begins a comment. `path` names it in errors.
    ///
    /// # Errors
    /// [`TargetsError::Line`]: a line is no set.
    pub fn add_list(&mut self, path: &str, text: &str) -> Result<(), TargetsError> {
        self.of.extend(sets_of_list(path, text)?);
        Ok(())
    }

    /// Returns the targets, in order.
    ///
    /// # Errors
    /// [`TargetsError`]: a group is not known, or there are too many.
    pub fn targets(&self, groups: &mut dyn Groups) -> Result<Vec<Target>, TargetsError> {
        let mut all = IndexSet::new();
        for set in &self.of {
            let targets = set.targets(groups)?;
            if all.is_empty() {
                all = targets;
            } else {
                all.extend(targets);
            }
            if all.len() as u64 > limits::TARGETS {
                return Err(TargetsError::TooMany);
            }
        }
        for set in &self.without {
            let without = set.targets(groups)?;
            let matches = matcher(&without);
            all.retain(|target| !matches(target));
        }
        Ok(all.into_iter().collect())
    }
}
