//! A leader and its descendants: its process group, its session, their children, and those that left.
//!
//! Not the termination (`ending`). Invariant: a signal is sent to a single process only after a pidfd for it
//! was opened and its identity was verified.
//!
//! If the tree has a cgroup, that alone decides; a process cannot leave it by forking. Otherwise a process that left
//! the session with `setsid` and lost its parent is recognised by the inherited marker in its environment, once this
//! program has adopted it (`orphans`); if it has cleared its environment, only if it was seen before it left.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{
    PidfdFlags, getpid, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};

use super::snapshot::{Entry, Identity, Table};
use super::{Cgroup, Pid, Signal, Spec};

/// Plain values of a [`Tree`].
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct TreeParts {
    leader: i32,
    started: u64,
    marker: String,
    on_terminal: bool,
    cgroup: Option<PathBuf>,
}

impl TreeParts {
    /// Returns the directory of its cgroup, if it has one.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }
}

/// Identifies a tree of processes. Cheap to clone; holds no descriptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    leader: Pid,
    /// Start time of the leader, in clock ticks since boot: with the process id, its identity.
    started: u64,
    marker: String,
    on_terminal: bool,
    cgroup: Option<Cgroup>,
}

impl Tree {
    /// Returns the tree of a new leader, with its start time.
    #[must_use]
    pub fn new(leader: Pid, spec: &Spec, started: u64) -> Self {
        Self {
            leader,
            started,
            marker: spec.marker.clone(),
            on_terminal: spec.terminal.is_some(),
            cgroup: spec.cgroup.clone(),
        }
    }

    /// Returns the plain values of the tree, for another program.
    #[must_use]
    pub fn to_parts(&self) -> TreeParts {
        TreeParts {
            leader: self.leader.as_raw_pid(),
            started: self.started,
            marker: self.marker.clone(),
            on_terminal: self.on_terminal,
            cgroup: self.cgroup.as_ref().map(|cgroup| cgroup.path().to_owned()),
        }
    }

    /// Returns a tree that another program has started; `None` if these are no values of one.
    #[must_use]
    pub fn from_parts(parts: TreeParts) -> Option<Self> {
        Some(Self {
            leader: Pid::from_raw(parts.leader).filter(|_| parts.leader > 1)?,
            started: parts.started,
            marker: parts.marker,
            on_terminal: parts.on_terminal,
            cgroup: parts
                .cgroup
                .map_or(Some(None), |path| Cgroup::at(path).map(Some))?,
        })
    }

    /// Returns its cgroup, if it has one.
    #[must_use]
    pub const fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// True if its leader exists, alive or as a zombie.
    pub(super) fn has_leader(&self) -> bool {
        Entry::read(self.leader).is_some_and(|entry| entry.started == self.started)
    }

    /// Returns the process id of the leader.
    #[must_use]
    pub fn leader(&self) -> Pid {
        self.leader
    }

    /// Returns the signals that request termination. On a terminal HUP comes first, as if it were closed,
    /// because interactive shells ignore TERM. CONT lets stopped processes handle the others.
    pub(super) const fn termination_signals(&self) -> &'static [Signal] {
        if self.on_terminal {
            &[Signal::HUP, Signal::TERM, Signal::CONT]
        } else {
            &[Signal::TERM, Signal::CONT]
        }
    }

    /// Returns the live processes of the tree, including those in `known`, which were seen in it before, and their
    /// descendants.
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

    /// Returns the members as seen by the process `own`.
    ///
    /// The children of a member are members, and so is its whole session, because only descendants can join a
    /// session. Two sessions are excluded: that of `own`, which no descendant can join, and session 0, which
    /// stands for sessions from outside of this pid namespace.
    ///
    /// A snapshot is not atomic. If a member ended after it was read, its id may have passed to an unrelated
    /// process whose children were read later. Membership therefore extends only from a member that
    /// `is_still` the same after the snapshot, and so was the same during it.
    fn members_seen_by<'a>(
        &self,
        own: Pid,
        table: &'a Table,
        known: &HashSet<Identity>,
        is_still: impl Fn(&Entry) -> bool,
    ) -> Vec<&'a Entry> {
        let own_session = table
            .by_pid(own.as_raw_pid())
            .map_or(0, |entry| entry.session);
        let may_be = |entry: &&Entry| {
            entry.alive && entry.pid != own && entry.session > 0 && entry.session != own_session
        };
        let leader = table.find(self.identity());
        let session = leader.map(|leader| table.session(leader.pid.as_raw_pid()));
        let known = known.iter().filter_map(|&identity| table.find(identity));
        let marked = table.marked(self.marker.as_bytes());
        let marked = marked.filter(|entry| self.is_marked_orphan(entry, own, table));
        let first = leader
            .into_iter()
            .chain(session.into_iter().flatten())
            .chain(known)
            .chain(marked);
        let mut found = HashSet::new();
        let mut members: Vec<&Entry> = first
            .filter(may_be)
            .filter(|entry| found.insert(entry.pid))
            .collect();
        let mut next = 0;
        while let Some(&member) = members.get(next) {
            next += 1;
            let children = table.children_of(member.pid);
            let mut more: Vec<&Entry> = children
                .chain(table.session(member.session))
                .filter(may_be)
                .filter(|entry| !found.contains(&entry.pid))
                .collect();
            if !more.is_empty() && is_still(member) {
                more.retain(|entry| found.insert(entry.pid));
                members.append(&mut more);
            }
        }
        members
    }

    /// True if the entry's parent has ended and the entry has the tree's marker.
    fn is_marked_orphan(&self, entry: &Entry, own: Pid, table: &Table) -> bool {
        let adopted = entry.parent == own.as_raw_pid() || entry.parent <= 1;
        // The parent may also have ended while /proc was read.
        !self.marker.is_empty() && (adopted || table.by_pid(entry.parent).is_none())
    }

    const fn identity(&self) -> Identity {
        (self.leader, self.started)
    }

    /// Sends a signal to the leader's process group. The leader must not be reaped, unless another parent does that.
    pub(super) fn signal_group(&self, signal: Signal) {
        let is_other = |entry: Entry| self.started != 0 && entry.started != self.started;
        if Entry::read(self.leader).is_some_and(is_other) {
            return; // Another parent has reaped the leader, and its number is that of another process.
        }
        // If the child has not founded its session yet, the group does not exist, and the child is all there is.
        // Other errors: no process is left, or all have another user, which the next snapshot shows.
        if kill_process_group(self.leader, signal) == Err(Errno::SRCH) {
            let _ = kill_process(self.leader, signal);
        }
    }

    /// Sends signals to a member that is not in the leader's process group, which is signalled as a whole.
    pub(super) fn signal_outside(&self, signals: &[Signal], entry: &Entry, group: Group) {
        // Asked again: it may have left the group after the snapshot and before the group was signalled.
        let was_hit = || Entry::read(entry.pid).is_none_or(|now| self.is_group_of(&now));
        if !(group == Group::Signalled && self.is_group_of(entry) && was_hit()) {
            for &signal in signals {
                signal_one(entry.identity(), signal);
            }
        }
    }

    fn is_group_of(&self, entry: &Entry) -> bool {
        entry.group == self.leader.as_raw_pid()
    }
}

/// State of the leader's process group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    /// It was signalled as a whole.
    Signalled,
    /// The leader was reaped, so the group may be another one.
    Unknown,
}

/// Sends a signal to the process with this identity, if it still exists.
fn signal_one((pid, started): Identity, signal: Signal) {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    // If the process ended before the pidfd was opened, the id is free or belongs to a process that started
    // later. If it ended since, the pidfd refers to no process.
    if Entry::read(pid).is_some_and(|entry| entry.started == started) {
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: i32 = 100;
    const JOBS: [&str; 2] = ["first", "second"];

    /// A process with its job, which the code under test cannot see.
    #[derive(Clone, Debug)]
    struct Simulated {
        pid: i32,
        parent: i32,
        group: i32,
        session: i32,
        alive: bool,
        marker: Option<&'static str>,
        job: Option<&'static str>,
    }

    /// An action of a process, whose index is taken modulo their number.
    #[derive(Clone, Debug)]
    enum Action {
        Fork(usize),
        NewSession(usize),
        NewGroup(usize),
        WipeEnvironment(usize),
        /// Its children pass to this program if they belong to a job, else to init.
        Exit(usize),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let index = || 0..1000_usize;
        let action = prop_oneof![
            4 => index().prop_map(Action::Fork),
            2 => index().prop_map(Action::NewSession),
            1 => index().prop_map(Action::NewGroup),
            1 => index().prop_map(Action::WipeEnvironment),
            2 => index().prop_map(Action::Exit),
        ];
        prop::collection::vec(action, 0..80)
    }

    /// Init, an unrelated process without a session and one with a session, this program, and two leaders.
    fn initial_processes() -> Vec<Simulated> {
        let process = |pid, parent, session, job| Simulated {
            pid,
            parent,
            group: session,
            session,
            alive: true,
            marker: job,
            job,
        };
        vec![
            process(1, 0, 0, None),
            process(50, 1, 0, None),
            process(60, 1, 60, None),
            process(OWN, 60, 60, None),
            process(110, OWN, 110, Some(JOBS[0])),
            process(120, OWN, 120, Some(JOBS[1])),
        ]
    }

    fn apply(processes: &mut Vec<Simulated>, action: &Action) {
        let (Action::Fork(index)
        | Action::NewSession(index)
        | Action::NewGroup(index)
        | Action::WipeEnvironment(index)
        | Action::Exit(index)) = *action;
        let index = index % processes.len();
        let next_pid = 200 + i32::try_from(processes.len()).unwrap();
        let process = &mut processes[index];
        if !process.alive {
            return;
        }
        match action {
            Action::Fork(_) => {
                let child = Simulated {
                    pid: next_pid,
                    parent: process.pid,
                    ..process.clone()
                };
                processes.push(child);
            }
            Action::NewSession(_) if process.group != process.pid => {
                process.group = process.pid;
                process.session = process.pid;
            }
            Action::NewGroup(_) if process.session != process.pid => process.group = process.pid,
            Action::WipeEnvironment(_) => process.marker = None,
            Action::Exit(_) if process.pid > 1 && process.pid != OWN => {
                process.alive = false;
                let ended = process.pid;
                let adopter = if process.job.is_some() { OWN } else { 1 };
                for child in processes.iter_mut().filter(|child| child.parent == ended) {
                    child.parent = adopter;
                }
            }
            _ => {}
        }
    }

    fn snapshot(processes: &[Simulated]) -> Table {
        let entry = |process: &Simulated| {
            Entry::fixture(
                Pid::from_raw(process.pid).unwrap(),
                [process.parent, process.group, process.session],
                process.alive,
                process.marker,
            )
        };
        processes.iter().map(entry).collect()
    }

    fn tree(leader: i32, job: &str) -> Tree {
        Tree {
            leader: Pid::from_raw(leader).unwrap(),
            started: 0,
            marker: job.to_owned(),
            on_terminal: false,
            cgroup: None,
        }
    }

    fn members(tree: &Tree, table: &Table) -> Vec<i32> {
        let own = Pid::from_raw(OWN).unwrap();
        let members = tree.members_seen_by(own, table, &HashSet::new(), |_| true);
        let mut pids: Vec<i32> = members.iter().map(|entry| entry.pid.as_raw_pid()).collect();
        pids.sort_unstable();
        pids
    }

    proptest! {
        #[test]
        fn unrelated_processes_are_never_members_and_marked_descendants_always_are(actions in actions()) {
            let mut processes = initial_processes();
            for action in &actions {
                apply(&mut processes, action);
            }
            let all_marked = !actions.iter().any(|action| matches!(action, Action::WipeEnvironment(_)));
            let table = snapshot(&processes);
            for (job, leader) in JOBS.into_iter().zip([110, 120]) {
                let found = members(&tree(leader, job), &table);
                let truth = |process: &&Simulated| process.alive && process.job == Some(job);
                let truth: Vec<i32> = processes.iter().filter(truth).map(|process| process.pid).collect();
                prop_assert!(found.iter().all(|pid| truth.contains(pid)), "{found:?} {truth:?}");
                if all_marked {
                    prop_assert_eq!(found, truth);
                }
            }
        }

        #[test]
        fn after_reuse_of_the_leaders_id_only_marked_processes_are_members(actions in actions()) {
            let mut processes = initial_processes();
            for action in &actions {
                apply(&mut processes, action);
            }
            // The leader was reaped, and its id now belongs to an unrelated process with a session of its own.
            let unrelated = |process: &&mut Simulated| process.job.is_none() && process.pid > 1 && process.pid != OWN;
            let mut table = processes.clone();
            table.retain(|process| process.pid != 110 && process.session != 110);
            for process in table.iter_mut().filter(unrelated) {
                process.session = 110;
            }
            let mut reused = tree(110, JOBS[0]);
            reused.started = 7;
            let found = members(&reused, &snapshot(&table));
            let is_of_job = |pid: &i32| {
                table.iter().any(|process| process.pid == *pid && process.job == Some(JOBS[0]))
            };
            prop_assert!(found.iter().all(is_of_job), "{found:?}");
        }
    }

    #[test]
    fn children_of_a_process_that_reused_a_members_id_are_no_members() {
        // 210 was a member when it was read. Then an unrelated process got its id and forked a child, which was read later.
        let mut processes = initial_processes();
        let of_job = Simulated {
            pid: 210,
            parent: 110,
            session: 210,
            ..processes[4].clone()
        };
        let unrelated = Simulated {
            pid: 211,
            parent: 210,
            session: 210,
            ..processes[2].clone()
        };
        processes.extend([of_job, unrelated]);
        let table = snapshot(&processes);
        let own = Pid::from_raw(OWN).unwrap();
        let job = tree(110, JOBS[0]);
        let gone = |member: &Entry| member.pid.as_raw_pid() != 210;
        let members = job.members_seen_by(own, &table, &HashSet::new(), gone);
        assert!(members.iter().all(|entry| entry.pid.as_raw_pid() != 211));
        // If 210 still exists, its child is a member.
        let members = job.members_seen_by(own, &table, &HashSet::new(), |_| true);
        assert!(members.iter().any(|entry| entry.pid.as_raw_pid() == 211));
    }
}
