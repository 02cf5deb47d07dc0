//! Differences between two policies: keys that were added, removed or changed.

use std::collections::{HashMap, HashSet};

use super::Event;
use crate::agent::access::Policy;
use crate::crypto::PublicKey;

/// Kind of a difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The key was not listed before.
    Added,
    /// The key is no longer listed.
    Removed,
    /// The name or the options of the key differ.
    Changed,
}

/// A key that differs between two policies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    /// The key.
    pub key: PublicKey,
    /// Name of the key, the new one if there is one.
    pub name: String,
    /// Kind of the difference.
    pub change: Change,
}

impl Change {
    /// Returns the event of the audit.
    #[must_use]
    pub const fn event(self) -> Event<'static> {
        match self {
            Self::Added => Event::KeyAdded {},
            Self::Removed => Event::KeyRemoved {},
            Self::Changed => Event::KeyChanged {},
        }
    }
}

/// Returns the differences, removed keys first, by name.
#[must_use]
pub fn key_changes(old: &Policy, new: &Policy) -> Vec<KeyChange> {
    let before: HashMap<_, _> = old.members().map(|member| (member.key, member)).collect();
    let after: HashSet<_> = new.members().map(|member| member.key).collect();
    let removed = old
        .members()
        .filter(|member| !after.contains(&member.key))
        .map(|member| (member, Change::Removed));
    let others = new.members().filter_map(|member| {
        let change = match before.get(&member.key) {
            None => Change::Added,
            Some(before) if before.name == member.name && before.options == member.options => {
                return None;
            }
            Some(_) => Change::Changed,
        };
        Some((member, change))
    });
    let mut changes: Vec<KeyChange> = removed
        .chain(others)
        .map(|(member, change)| KeyChange {
            key: member.key,
            name: member.name.clone(),
            change,
        })
        .collect();
    changes.sort_by(|one, other| {
        let order = |change: &KeyChange| (change.change != Change::Removed, change.name.clone());
        order(one)
            .cmp(&order(other))
            .then(one.key.0.cmp(&other.key.0))
    });
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{key, policy_of_lines};

    #[test]
    fn added_removed_renamed_and_restricted_keys_are_changes_and_moved_lines_are_none() {
        let [same, gone, renamed, narrowed, fresh] = [1, 2, 3, 4, 5].map(key);
        let old = policy_of_lines(&format!("{same} a\n{gone} b\n{renamed} c\n{narrowed} d\n"));
        let new = policy_of_lines(&format!(
            "{narrowed} d chat-only\n{renamed} cc\n{same} a\n{fresh} e\n"
        ));
        let changes = key_changes(&old, &new);
        let brief: Vec<_> = changes
            .iter()
            .map(|change| (change.key, change.name.as_str(), change.change))
            .collect();
        let expected = [
            (gone, "b", Change::Removed),
            (renamed, "cc", Change::Changed),
            (narrowed, "d", Change::Changed),
            (fresh, "e", Change::Added),
        ];
        assert_eq!(brief, expected);
        assert_eq!(key_changes(&new, &new), []);
    }
}
