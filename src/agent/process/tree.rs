//! A leader and its descendants: the group, the session, the children of children, and those that left.
//!
//! Not who ends them (`ending`). Invariant: no signal is sent to a process that was not verified, after a
//! handle on it was opened, to be the one that was meant.
//!
//! Who left by `setsid` and a dead parent is recognised by what it inherited, the marker in its
//! environment, once it has been adopted by us (`orphans`). Who has wiped that out as well is recognised
//! only if it was seen before it left. A delegated cgroup would know it in any case; this is the place
//! where one would be asked.

use std::collections::HashSet;

use rustix::process::{PidfdFlags, getpid, kill_process_group, pidfd_open, pidfd_send_signal};

use super::census::{Entry, Identity, Table};
use super::{Census, Pid, Signal, Spec};
use crate::time::Instant;

/// Names a tree of processes. Cheap to clone; holds no descriptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    leader: Pid,
    /// Clock ticks from boot to its start: with the process id, its identity.
    started: u64,
    marker: String,
    on_terminal: bool,
}

impl Tree {
    /// Of a leader that was just started.
    pub(super) fn new(leader: Pid, spec: &Spec) -> Self {
        Self {
            leader,
            started: Entry::read(leader).map_or(0, |entry| entry.started),
            marker: spec.marker.clone(),
            on_terminal: spec.terminal.is_some(),
        }
    }

    /// The first process of it.
    #[must_use]
    pub fn leader(&self) -> Pid {
        self.leader
    }

    /// The signals that ask it to end. On a terminal HUP comes first, as if it were closed: interactive
    /// shells ignore TERM. CONT is for the stopped, who would not notice the others.
    pub(super) const fn request(&self) -> &'static [Signal] {
        if self.on_terminal {
            &[Signal::HUP, Signal::TERM, Signal::CONT]
        } else {
            &[Signal::TERM, Signal::CONT]
        }
    }

    /// No process of it runs any more. Zombies do not count.
    pub fn is_empty(&self, now: Instant, census: &mut Census) -> bool {
        self.members(census.at(now), &HashSet::new()).is_empty()
    }

    /// Sends a signal to every process of it; returns how many there are.
    pub fn signal_all(&self, signal: Signal, now: Instant, census: &mut Census) -> usize {
        let table = census.at(now);
        let members = self.members(table, &HashSet::new());
        self.signal_members(signal, table, &members);
        members.len()
    }

    /// The living processes of it, and of what was `known` to be of it before.
    ///
    /// Membership spreads: to the children of a member, and to the session of a member, for only its
    /// descendants can be in a session. Never to ours, which no descendant can enter.
    pub(super) fn members<'a>(
        &self,
        table: &'a Table,
        known: &HashSet<Identity>,
    ) -> Vec<&'a Entry> {
        let us = getpid();
        let ours = table.iter().find(|entry| entry.pid == us);
        let our_session = ours.map(|entry| entry.session);
        // A reaped leader's id may be another's by now: then neither its session nor its group is ours.
        let leader_is_there = self.is_leader_in(table);
        let mut found = HashSet::new();
        let mut sessions = HashSet::new();
        let mut parents = HashSet::new();
        if leader_is_there {
            sessions.insert(self.leader.as_raw_pid());
            parents.insert(self.leader.as_raw_pid());
        }
        loop {
            let before = found.len();
            for entry in table.iter().filter(|entry| entry.pid != us) {
                if found.contains(&entry.pid) || Some(entry.session) == our_session {
                    continue;
                }
                if sessions.contains(&entry.session)
                    || parents.contains(&entry.parent)
                    || known.contains(&entry.identity())
                    || self.is_stray(entry, us, table)
                {
                    found.insert(entry.pid);
                    sessions.insert(entry.session);
                    parents.insert(entry.pid.as_raw_pid());
                }
            }
            if found.len() == before {
                break;
            }
        }
        let is_member = |entry: &&Entry| entry.alive && found.contains(&entry.pid);
        table.iter().filter(is_member).collect()
    }

    /// Its parent is dead, and it carries our marker.
    fn is_stray(&self, entry: &Entry, us: Pid, table: &Table) -> bool {
        let adopted = entry.parent == us.as_raw_pid() || entry.parent <= 1;
        // The parent may also have died while /proc was being read.
        let orphan = adopted || !table.has(entry.parent);
        orphan && entry.alive && !self.marker.is_empty() && entry.is_marked(&self.marker)
    }

    fn is_leader_in(&self, table: &Table) -> bool {
        table.find((self.leader, self.started)).is_some()
    }

    /// Sends a signal once to each of `members`: to the group at one stroke, so that nobody forks away
    /// from it, and to the others one by one.
    pub(super) fn signal_members(&self, signal: Signal, table: &Table, members: &[&Entry]) {
        let group_is_ours = self.is_leader_in(table);
        if group_is_ours {
            // Fails only if nobody is left or nobody is ours, which the next census tells.
            let _ = kill_process_group(self.leader, signal);
        }
        for entry in members {
            // Asked again: it may have left the group after the census and before the stroke.
            let was_hit = || Entry::read(entry.pid).is_none_or(|now| self.is_group_of(&now));
            if !(group_is_ours && self.is_group_of(entry) && was_hit()) {
                signal_one(entry.identity(), signal);
            }
        }
    }

    fn is_group_of(&self, entry: &Entry) -> bool {
        entry.group == self.leader.as_raw_pid()
    }

    /// Sends signals to one that was missed: not to a member of the group, which was not.
    pub(super) fn signal_stray(&self, signals: &[Signal], entry: &Entry) {
        if !self.is_group_of(entry) {
            for &signal in signals {
                signal_one(entry.identity(), signal);
            }
        }
    }
}

/// Sends a signal to this very process, or to none.
fn signal_one((pid, started): Identity, signal: Signal) {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    // If the one meant has ended before the handle was opened, the id is free or another's, which started
    // later. If it ended since, the handle leads to nobody.
    if Entry::read(pid).is_some_and(|entry| entry.started == started) {
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}
