//! Names of an inventory for completions.
//!
//! Not what the names stand for when a command is run. Invariant: no program is started, neither an inventory nor the command
//! of a group, and what cannot be read is left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Content, GroupName, Groups as _, Inventory, LAST, Members, Target};
use super::{ansible, hosts_file};
use crate::control::fleet::Class;
use crate::home::{self, Readers};

impl Inventory {
    /// Reads `hosts.toml` and those inventories that are no programs; `last_run` is the record of the last run.
    #[must_use]
    pub fn without_programs(path: &Path, last_run: PathBuf) -> Self {
        let text = home::read(path, Readers::All).ok().flatten();
        let file = hosts_file::parse(&text.unwrap_or_default()).unwrap_or_default();
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut content = Content::default();
        for named in &file.inventories {
            let _ = ansible::read_file(&directory.join(named), &mut content);
        }
        let mut inventory = Self::of(file, content, path, PathBuf::new());
        for members in inventory.groups.values_mut() {
            members.retain(|members| !matches!(members, Members::Exec(_)));
        }
        if last_run.exists() {
            inventory.set_last_run(last_run);
        }
        inventory
    }

    /// Returns all hosts, by the names that they have in the files.
    pub fn all_hosts(&mut self) -> Vec<Target> {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        let mut all: indexmap::IndexSet<Target> = self
            .hosts
            .values()
            .map(|entry| entry.target.clone())
            .collect();
        for name in names {
            all.extend(self.members(&GroupName::Named(name)).unwrap_or_default());
        }
        all.into_iter().collect()
    }

    /// Returns the names of all groups, with `@`, and of the classes of the last run.
    pub fn all_groups(&mut self) -> Vec<String> {
        let mut names = self.group_names().unwrap_or_default();
        if self.last_run.is_some() {
            names.extend(Class::ALL.map(|class| format!("@{LAST}:{}", class.name())));
        }
        names
    }

    /// Returns the users as whom commands run on hosts.
    #[must_use]
    pub fn users(&self) -> BTreeSet<&str> {
        let users = self
            .hosts
            .values()
            .filter_map(|entry| entry.user.as_deref());
        users.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn names_for_completions_come_from_files_and_no_program_is_started() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("hosts.toml");
        let started = home.path().join("started");
        let program = home.path().join("dynamic");
        fs::write(
            &program,
            format!("#!/bin/sh\necho yes >{}\n", started.display()),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.path().join("static"), "[web]\nweb1\nweb2\n").unwrap();
        let text = format!(
            "inventory = [\"dynamic\", \"absent\", \"static\"]\n\
             [groups]\ndb = \"db[1-2]\"\nasked = {{ exec = \"echo yes >{}\" }}\n\
             [hosts.db1]\nuser = \"postgres\"\ntags = [\"ssd\"]\n",
            started.display()
        );
        fs::write(&path, text).unwrap();
        let mut inventory = Inventory::without_programs(&path, home.path().join("last"));
        let hosts = inventory.all_hosts();
        let hosts: BTreeSet<&str> = hosts.iter().map(Target::label).collect();
        assert_eq!(hosts, BTreeSet::from(["db1", "db2", "web1", "web2"]));
        let groups = inventory.all_groups();
        assert_eq!(groups, ["@asked", "@db", "@web", "@tag:ssd"]);
        assert_eq!(inventory.users(), BTreeSet::from(["postgres"]));
        assert!(!started.exists());
        let mut none = Inventory::without_programs(Path::new("/no/such"), PathBuf::new());
        assert!(none.all_hosts().is_empty());
    }
}
