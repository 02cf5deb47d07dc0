//! Snapshots of the process table, read from `/proc`.
//!
//! Not the membership in trees (`tree`). Invariant: one snapshot serves all queries of one instant, so that
//! ending a thousand jobs at once reads `/proc` once.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;

use rustix::process::getpid;

use super::environment::MARKER;
use super::{Pid, limits};
use crate::time::Instant;

/// A copy of the process table, renewed when a query is newer than it. Keep one per thread.
#[derive(Debug, Default)]
pub struct ProcessSnapshot {
    taken: Option<(Instant, Table)>,
}

impl ProcessSnapshot {
    /// Returns an empty cache; the first query reads `/proc`.
    #[must_use]
    pub const fn new() -> Self {
        Self { taken: None }
    }

    /// Returns the table of the instant `now`.
    pub(super) fn at(&mut self, now: Instant) -> &Table {
        if self.taken.as_ref().is_none_or(|(then, _)| *then < now) {
            self.taken = Some((now, Table::read()));
        }
        &self.taken.as_ref().expect("the branch above sets it").1
    }
}

/// All processes, sorted by process id.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Entry>);

/// Identity of a process: its id and start time. The kernel reuses ids, but not within a clock tick.
pub(super) type Identity = (Pid, u64);

/// A process.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: Pid,
    /// Zero for init, and if the parent is outside of this pid namespace.
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Start time, in clock ticks since boot.
    pub(super) started: u64,
    /// True if a thread of it still runs.
    pub(super) alive: bool,
    /// Value of its [`MARKER`], read on first use.
    marker: OnceCell<Option<Vec<u8>>>,
}

#[cfg(test)]
impl FromIterator<Entry> for Table {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        entries.sort_unstable_by_key(|entry| entry.pid.as_raw_pid());
        Self(entries)
    }
}

impl Table {
    /// Reads `/proc`. Returns an empty table if `/proc` is missing or shows another pid namespace.
    pub(super) fn read() -> Self {
        let own_namespace = fs::read_link("/proc/self")
            .is_ok_and(|name| name.as_os_str() == OsStr::new(&getpid().to_string()));
        let Some(directory) = own_namespace.then(|| fs::read_dir("/proc").ok()).flatten() else {
            return Self::default();
        };
        let mut entries: Vec<Entry> = directory
            .flatten()
            .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
            .filter_map(Entry::read)
            .collect();
        entries.sort_unstable_by_key(|entry| entry.pid.as_raw_pid());
        Self(entries)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(super) fn children_of(&self, parent: Pid) -> Vec<Pid> {
        let parent = parent.as_raw_pid();
        let children = self.0.iter().filter(|entry| entry.parent == parent);
        children.map(|entry| entry.pid).collect()
    }

    /// Returns the process with this identity, alive or not.
    pub(super) fn find(&self, (pid, started): Identity) -> Option<&Entry> {
        let entry = self.by_pid(pid.as_raw_pid())?;
        (entry.started == started).then_some(entry)
    }

    /// True if a process has this id.
    pub(super) fn has(&self, pid: i32) -> bool {
        self.by_pid(pid).is_some()
    }

    fn by_pid(&self, pid: i32) -> Option<&Entry> {
        let key = |entry: &Entry| entry.pid.as_raw_pid();
        let at = self.0.binary_search_by_key(&pid, key).ok()?;
        Some(&self.0[at])
    }
}

impl Entry {
    /// Reads the current entry of this process id.
    pub(super) fn read(pid: Pid) -> Option<Self> {
        Self::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Parses a line of proc_pid_stat(5). The command name, in parentheses, may contain any bytes, including
    /// parentheses and spaces.
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
        // Numbered from 3, as in the manual page.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        // A process whose first thread ended before the others is shown as a zombie.
        let threads: u64 = field(20)?.parse().ok()?;
        Some(Self {
            pid,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            started: field(22)?.parse().ok()?,
            alive: !matches!(field(3)?, "Z" | "X") || threads > 1,
            marker: OnceCell::new(),
        })
    }

    /// Returns an entry for tests that started at tick 0, with its parent, group and session.
    #[cfg(test)]
    pub(super) fn fixture(
        pid: Pid,
        [parent, group, session]: [i32; 3],
        alive: bool,
        marker: Option<&str>,
    ) -> Self {
        Self {
            pid,
            parent,
            group,
            session,
            started: 0,
            alive,
            marker: OnceCell::from(marker.map(|marker| marker.as_bytes().to_vec())),
        }
    }

    pub(super) const fn identity(&self) -> Identity {
        (self.pid, self.started)
    }

    /// True if its initial environment marks it as a process of `job`. False if the environment is not readable.
    pub(super) fn is_marked(&self, job: &str) -> bool {
        let marker = self.marker.get_or_init(|| read_marker(self.pid));
        marker.as_deref() == Some(job.as_bytes())
    }
}

fn read_marker(pid: Pid) -> Option<Vec<u8>> {
    let mut environment = Vec::new();
    File::open(format!("/proc/{pid}/environ"))
        .ok()?
        .take(limits::ENVIRONMENT)
        .read_to_end(&mut environment)
        .ok()?;
    environment
        .split(|&byte| byte == 0)
        .find_map(|variable| {
            let value = variable.strip_prefix(MARKER.as_bytes())?;
            value.strip_prefix(b"=")
        })
        .map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"77 (a) Z 1 (b c) S 12 34 56 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9001 0 0 ";
        let entry = Entry::parse(getpid(), stat).unwrap();
        assert_eq!((entry.parent, entry.group, entry.session), (12, 34, 56));
        assert_eq!((entry.started, entry.alive), (9001, true));
    }

    #[test]
    fn a_zombie_leader_with_other_threads_counts_as_alive() {
        let stat = |threads: u32| {
            let line = format!("7 (x) Z 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 5 ");
            Entry::parse(getpid(), line.as_bytes()).unwrap()
        };
        assert!(!stat(1).alive);
        assert!(stat(2).alive);
    }

    #[test]
    fn a_malformed_stat_line_is_ignored() {
        for stat in [
            &b""[..],
            b"1 (x",
            b"1 (x) S",
            b"1 (x) S a b c",
            b"1 (x) \xff",
        ] {
            assert!(Entry::parse(getpid(), stat).is_none());
        }
    }

    #[test]
    fn a_snapshot_contains_this_process_and_is_reused_within_an_instant() {
        let mut snapshot = ProcessSnapshot::new();
        let now = Instant::from_micros(5);
        assert!(snapshot.at(now).iter().any(|entry| entry.pid == getpid()));
        let first = std::ptr::from_ref(&snapshot.at(now).0[0]);
        assert!(std::ptr::eq(first, &raw const snapshot.at(now).0[0]));
        assert_eq!(snapshot.taken.as_ref().unwrap().0, now);
    }
}
