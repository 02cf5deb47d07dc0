//! Rules of `copy=` whose directory the agent does not open.
//!
//! Not the check itself, which is made for each copy. Invariant: a rule is named only if a symbolic link is in its path now.

use std::fs;
use std::path::Path;

use crate::agent::access::{Member, Policy};

/// Returns a line for each rule whose path has a symbolic link.
pub fn linked(policy: &Policy, origin: impl Fn(&Member) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for member in policy.members() {
        for rule in &member.options.copy {
            if let Some(link) = rule.beneath().and_then(first_link) {
                lines.push(format!(
                    "{}: copy={rule} copies nothing: {} is a symbolic link; name the directory that it leads to",
                    origin(member),
                    link.display()
                ));
            }
        }
    }
    lines.sort();
    lines
}

/// Returns the outermost part of a path that is a symbolic link.
fn first_link(path: &Path) -> Option<&Path> {
    let is_link = |path: &&Path| fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
    path.ancestors().filter(is_link).last()
}
