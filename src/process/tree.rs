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

use super::snapshot::{Entry, Identity, Table};
use super::{Pid, ProcessSnapshot, Signal, Spec};
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
    pub fn is_empty(&self, now: Instant, snapshot: &mut ProcessSnapshot) -> bool {
        self.members(snapshot.at(now), &HashSet::new()).is_empty()
    }

    /// Sends a signal to every process of it; returns how many there are.
    pub fn signal_all(
        &self,
        signal: Signal,
        now: Instant,
        snapshot: &mut ProcessSnapshot,
    ) -> usize {
        let table = snapshot.at(now);
        let members = self.members(table, &HashSet::new());
        self.signal_members(signal, table, &members);
        members.len()
    }

    /// The living processes of it, and of what was `known` to be of it before.
    pub(super) fn members<'a>(
        &self,
        table: &'a Table,
        known: &HashSet<Identity>,
    ) -> Vec<&'a Entry> {
        self.members_seen_by(getpid(), table, known, |member| {
            let now = Entry::read(member.pid);
            now.is_some_and(|now| {
                now.identity() == member.identity() && now.session == member.session
            })
        })
    }

    /// Membership spreads: to the children of a member, and to the session of a member, for only its
    /// descendants can be in a session. Never to ours, which no descendant can enter, nor to session 0,
    /// which is how those look whose session began outside of this pid namespace.
    ///
    /// A snapshot takes its time. When a member died after it was read, its id may have become another's
    /// whose children were read then. So it spreads only from a member that `is_still` the same after
    /// the snapshot, and therefore was while it was taken.
    fn members_seen_by<'a>(
        &self,
        us: Pid,
        table: &'a Table,
        known: &HashSet<Identity>,
        is_still: impl Fn(&Entry) -> bool,
    ) -> Vec<&'a Entry> {
        let ours = table.iter().find(|entry| entry.pid == us);
        let our_session = ours.map_or(0, |entry| entry.session);
        let may_be = |entry: &&Entry| {
            entry.alive && entry.pid != us && entry.session > 0 && entry.session != our_session
        };
        let is_first = |entry: &&Entry| {
            entry.identity() == (self.leader, self.started)
                || (self.is_leader_in(table) && entry.session == self.leader.as_raw_pid())
                || known.contains(&entry.identity())
                || self.is_stray(entry, us, table)
        };
        let mut members: Vec<&Entry> = table.iter().filter(may_be).filter(is_first).collect();
        let mut found: HashSet<Pid> = members.iter().map(|entry| entry.pid).collect();
        let mut next = 0;
        while let Some(&member) = members.get(next) {
            next += 1;
            let belongs = |entry: &&Entry| {
                entry.parent == member.pid.as_raw_pid() || entry.session == member.session
            };
            let mut more: Vec<&Entry> = table.iter().filter(may_be).filter(belongs).collect();
            more.retain(|entry| !found.contains(&entry.pid));
            if !more.is_empty() && is_still(member) {
                found.extend(more.iter().map(|entry| entry.pid));
                members.append(&mut more);
            }
        }
        members
    }

    /// Its parent is dead, and it carries our marker.
    fn is_stray(&self, entry: &Entry, us: Pid, table: &Table) -> bool {
        let adopted = entry.parent == us.as_raw_pid() || entry.parent <= 1;
        // The parent may also have died while /proc was being read.
        let orphan = adopted || !table.has(entry.parent);
        orphan && !self.marker.is_empty() && entry.is_marked(&self.marker)
    }

    fn is_leader_in(&self, table: &Table) -> bool {
        table.find((self.leader, self.started)).is_some()
    }

    /// Sends a signal once to each of `members`: to the group at one stroke, so that nobody forks away
    /// from it, and to the others one by one.
    pub(super) fn signal_members(&self, signal: Signal, table: &Table, members: &[&Entry]) {
        let group_is_ours = self.is_leader_in(table);
        if group_is_ours {
            // Fails only if nobody is left or nobody is ours, which the next snapshot tells.
            let _ = kill_process_group(self.leader, signal);
        }
        for entry in members {
            // Asked again: it may have left the group after the snapshot and before the stroke.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const US: i32 = 100;
    const JOBS: [&str; 2] = ["first", "second"];

    /// A process, and what nobody can see: whose descendant it is.
    #[derive(Clone, Debug)]
    struct Person {
        pid: i32,
        parent: i32,
        group: i32,
        session: i32,
        alive: bool,
        marker: Option<&'static str>,
        job: Option<&'static str>,
    }

    /// What happens to a process: the index is taken modulo how many there are.
    #[derive(Clone, Debug)]
    enum Deed {
        Fork(usize),
        NewSession(usize),
        NewGroup(usize),
        WipeEnvironment(usize),
        /// Its children become ours if it descends from us, else init's.
        Die(usize),
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let who = || 0..1000_usize;
        let deed = prop_oneof![
            4 => who().prop_map(Deed::Fork),
            2 => who().prop_map(Deed::NewSession),
            1 => who().prop_map(Deed::NewGroup),
            1 => who().prop_map(Deed::WipeEnvironment),
            2 => who().prop_map(Deed::Die),
        ];
        prop::collection::vec(deed, 0..80)
    }

    /// Init, a stranger without a session and one with, ourselves, and two leaders.
    fn world() -> Vec<Person> {
        let person = |pid, parent, session, job| Person {
            pid,
            parent,
            group: session,
            session,
            alive: true,
            marker: job,
            job,
        };
        vec![
            person(1, 0, 0, None),
            person(50, 1, 0, None),
            person(60, 1, 60, None),
            person(US, 60, 60, None),
            person(110, US, 110, Some(JOBS[0])),
            person(120, US, 120, Some(JOBS[1])),
        ]
    }

    fn happen(world: &mut Vec<Person>, deed: &Deed) {
        let (Deed::Fork(who)
        | Deed::NewSession(who)
        | Deed::NewGroup(who)
        | Deed::WipeEnvironment(who)
        | Deed::Die(who)) = *deed;
        let index = who % world.len();
        let next_pid = 200 + i32::try_from(world.len()).unwrap();
        let person = &mut world[index];
        if !person.alive {
            return;
        }
        match deed {
            Deed::Fork(_) => {
                let child = Person {
                    pid: next_pid,
                    parent: person.pid,
                    ..person.clone()
                };
                world.push(child);
            }
            Deed::NewSession(_) if person.group != person.pid => {
                person.group = person.pid;
                person.session = person.pid;
            }
            Deed::NewGroup(_) if person.session != person.pid => person.group = person.pid,
            Deed::WipeEnvironment(_) => person.marker = None,
            Deed::Die(_) if person.pid > 1 && person.pid != US => {
                person.alive = false;
                let dead = person.pid;
                let heir = if person.job.is_some() { US } else { 1 };
                for child in world.iter_mut().filter(|child| child.parent == dead) {
                    child.parent = heir;
                }
            }
            _ => {}
        }
    }

    fn snapshot(world: &[Person]) -> Table {
        let entry = |person: &Person| {
            Entry::imagined(
                Pid::from_raw(person.pid).unwrap(),
                [person.parent, person.group, person.session],
                person.alive,
                person.marker,
            )
        };
        world.iter().map(entry).collect()
    }

    fn tree(leader: i32, job: &str) -> Tree {
        Tree {
            leader: Pid::from_raw(leader).unwrap(),
            started: 0,
            marker: job.to_owned(),
            on_terminal: false,
        }
    }

    fn members(tree: &Tree, table: &Table) -> Vec<i32> {
        let us = Pid::from_raw(US).unwrap();
        let members = tree.members_seen_by(us, table, &HashSet::new(), |_| true);
        let mut pids: Vec<i32> = members.iter().map(|entry| entry.pid.as_raw_pid()).collect();
        pids.sort_unstable();
        pids
    }

    proptest! {
        #[test]
        fn no_stranger_is_ever_a_member_and_who_kept_the_marker_always_is(deeds in deeds()) {
            let mut world = world();
            for deed in &deeds {
                happen(&mut world, deed);
            }
            let nobody_hid = !deeds.iter().any(|deed| matches!(deed, Deed::WipeEnvironment(_)));
            let table = snapshot(&world);
            for (job, leader) in JOBS.into_iter().zip([110, 120]) {
                let found = members(&tree(leader, job), &table);
                let truth = |person: &&Person| person.alive && person.job == Some(job);
                let truth: Vec<i32> = world.iter().filter(truth).map(|person| person.pid).collect();
                prop_assert!(found.iter().all(|pid| truth.contains(pid)), "{found:?} {truth:?}");
                if nobody_hid {
                    prop_assert_eq!(found, truth);
                }
            }
        }

        #[test]
        fn without_a_leader_only_the_marker_counts(deeds in deeds()) {
            let mut world = world();
            for deed in &deeds {
                happen(&mut world, deed);
            }
            // The leader was reaped, and its id is another's now, with a session of its own.
            let stranger = |person: &&mut Person| person.job.is_none() && person.pid > 1 && person.pid != US;
            let mut table = world.clone();
            table.retain(|person| person.pid != 110 && person.session != 110);
            for person in table.iter_mut().filter(stranger) {
                person.session = 110;
            }
            let mut another = tree(110, JOBS[0]);
            another.started = 7;
            let found = members(&another, &snapshot(&table));
            let is_ours = |pid: &i32| {
                table.iter().any(|person| person.pid == *pid && person.job == Some(JOBS[0]))
            };
            prop_assert!(found.iter().all(is_ours), "{found:?}");
        }
    }

    #[test]
    fn children_of_who_took_a_dead_members_id_are_strangers() {
        // 210 was of the tree when it was read. Then it died, and another process became 210 and had a
        // child, which was read after that.
        let mut world = world();
        let of_job = Person {
            pid: 210,
            parent: 110,
            session: 210,
            ..world[4].clone()
        };
        let stranger = Person {
            pid: 211,
            parent: 210,
            session: 210,
            ..world[2].clone()
        };
        world.extend([of_job, stranger]);
        let table = snapshot(&world);
        let us = Pid::from_raw(US).unwrap();
        let job = tree(110, JOBS[0]);
        let gone = |member: &Entry| member.pid.as_raw_pid() != 210;
        let members = job.members_seen_by(us, &table, &HashSet::new(), gone);
        assert!(members.iter().all(|entry| entry.pid.as_raw_pid() != 211));
        // Had it still been there, its child would have been found.
        let members = job.members_seen_by(us, &table, &HashSet::new(), |_| true);
        assert!(members.iter().any(|entry| entry.pid.as_raw_pid() == 211));
    }
}
