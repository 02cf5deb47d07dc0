//! Hosts and groups of all inventories.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::{IndexMap, IndexSet};

use super::vars::HostVars;
use crate::control::limits;
use crate::net::{Host, Target};

/// Group of all hosts.
pub const ALL: &str = "all";

/// Group of the hosts that are in no other group.
pub const UNGROUPED: &str = "ungrouped";

/// Hosts and groups, by their names. Names of hosts are in lower case, and addresses in their normal form.
#[derive(Default, Debug)]
pub struct Content {
    /// Hosts with their own variables.
    pub hosts: IndexMap<String, HostVars>,
    /// Groups.
    pub groups: BTreeMap<String, Group>,
    /// Sentences about what was passed over, each with its file.
    pub warnings: Vec<String>,
}

/// Members and variables of a group.
#[derive(Default, Debug)]
pub struct Group {
    /// Names of hosts.
    pub hosts: IndexSet<String>,
    /// Names of groups.
    pub children: IndexSet<String>,
    /// Variables of its members.
    pub vars: HostVars,
}

impl Content {
    /// Returns a group, a new one if there is none.
    pub fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// Adds a host to a group and returns its name here.
    ///
    /// # Errors
    /// A sentence: the name is not that of a host, or there are too many.
    pub fn add_host(&mut self, name: &str, group: &str) -> Result<String, String> {
        let target: Target = name.parse().map_err(|error| format!("host {error}"))?;
        if target.names_port() {
            return Err(format!("\"{name}\" is not a host"));
        }
        let name = name_of(target.host());
        self.hosts.entry(name.clone()).or_default();
        if self.hosts.len() as u64 > limits::TARGETS {
            return Err("there are more than a million hosts".into());
        }
        self.group(group).hosts.insert(name.clone());
        Ok(name)
    }

    /// Puts hosts that are in no group into the group [`UNGROUPED`], and others out of it.
    pub fn sort_out_ungrouped(&mut self) {
        let is_named = |name: &str| name != ALL && name != UNGROUPED;
        let named = self.groups.iter().filter(|(name, _)| is_named(name));
        let grouped: BTreeSet<&String> = named.flat_map(|(_, group)| &group.hosts).collect();
        let hosts = self.hosts.keys().filter(|name| !grouped.contains(name));
        let ungrouped: IndexSet<String> = hosts.cloned().collect();
        if !ungrouped.is_empty() || self.groups.contains_key(UNGROUPED) {
            self.group(UNGROUPED).hosts = ungrouped;
        }
    }

    /// Returns the variables of each host: its own over those of its groups. Of these, a child's count more than its
    /// parent's, and else those of the last name.
    #[must_use]
    pub fn host_vars(&self) -> IndexMap<String, HostVars> {
        let mut hosts: IndexMap<String, HostVars> = self
            .hosts
            .keys()
            .cloned()
            .map(|name| (name, HostVars::default()))
            .collect();
        let depths = self.depths();
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|&(name, _)| (name != ALL, depths.get(&name[..]).copied(), name));
        for (name, group) in groups {
            if group.vars == HostVars::default() {
                continue;
            }
            for host in self.members(name) {
                if let Some(vars) = hosts.get_mut(host) {
                    *vars = group.vars.clone().over(std::mem::take(vars));
                }
            }
        }
        for (name, vars) in &mut hosts {
            *vars = self.hosts[name].clone().over(std::mem::take(vars));
        }
        hosts
    }

    /// Returns the members of a group and of the groups in it.
    fn members<'a>(&'a self, name: &'a str) -> IndexSet<&'a str> {
        if name == ALL {
            return self.hosts.keys().map(String::as_str).collect();
        }
        let mut members = IndexSet::new();
        let (mut seen, mut open) = (BTreeSet::from([name]), vec![name]);
        while let Some(group) = open.pop().and_then(|name| self.groups.get(name)) {
            members.extend(group.hosts.iter().map(String::as_str));
            let children = group.children.iter().map(String::as_str);
            open.extend(
                children.filter(|child| self.groups.contains_key(*child) && seen.insert(child)),
            );
        }
        members
    }

    /// Returns the longest way from the top to each group. Groups that contain themselves have none.
    fn depths(&self) -> HashMap<&str, usize> {
        let mut parents: HashMap<&str, usize> = HashMap::new();
        let children = || self.groups.values().flat_map(|group| &group.children);
        for child in children() {
            *parents.entry(child).or_default() += 1;
        }
        let tops = self.groups.keys().map(String::as_str);
        let mut open: Vec<&str> = tops.filter(|name| !parents.contains_key(name)).collect();
        let mut depths: HashMap<&str, usize> = open.iter().map(|&name| (name, 0)).collect();
        while let Some(name) = open.pop() {
            let depth = depths[name] + 1;
            for child in self
                .groups
                .get(name)
                .into_iter()
                .flat_map(|group| &group.children)
            {
                let known = depths.entry(child).or_default();
                *known = depth.max(*known);
                let left = parents.entry(child).or_default();
                *left -= 1;
                if *left == 0 {
                    open.push(child);
                }
            }
        }
        depths
    }
}

/// Name of a host in tables: in lower case, an address in its normal form.
#[must_use]
pub fn name_of(host: &Host) -> String {
    match host {
        Host::Ip(ip) => ip.to_string(),
        Host::Zoned(ip, zone) => format!("{ip}%{zone}"),
        Host::Name(name) => name.clone(),
    }
}
