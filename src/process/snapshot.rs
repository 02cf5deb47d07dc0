//! Snapshots of the process table, read from `/proc` ([`procfs`]) piece by piece.
//!
//! Not the membership in trees (`tree`). Invariant: one snapshot serves all trees, so that ending a thousand jobs at
//! once reads `/proc` once; and a reading is interrupted after each process, so that it delays nobody.

use std::collections::HashMap;
use std::io::Read as _;

use rustix::fs::Dir;
use rustix::process::getpid;

use super::environment::MARKER;
use super::{Pid, limits, procfs};

/// Markers of processes that have one, and of those that have none. A process keeps the environment that it was
/// executed with.
pub(super) type Markers = HashMap<Identity, Option<Vec<u8>>>;

/// A reading of the process table in progress.
#[derive(Debug)]
pub(super) struct Reading {
    directory: Dir,
    entries: Vec<Entry>,
    /// Indices of the entries whose marker is to be read, once all entries are there.
    unmarked: Option<Vec<usize>>,
}

impl Reading {
    /// Begins a reading. Returns `None` without a `/proc` of this pid namespace.
    pub(super) fn begin() -> Option<Self> {
        Some(Self {
            directory: procfs::directory(".").ok()?,
            entries: Vec::new(),
            unmarked: None,
        })
    }

    /// Reads one process. Returns true when none is left.
    pub(super) fn step(&mut self, markers: &mut Markers) -> bool {
        if let Some(unmarked) = &mut self.unmarked {
            let Some(index) = unmarked.pop() else {
                return true;
            };
            let entry = &mut self.entries[index];
            entry.marker = marker(entry, markers);
            return false;
        }
        if let Some(Ok(file)) = self.directory.next() {
            let name = file.file_name().to_str().ok();
            let pid = name.and_then(|name| name.parse().ok());
            let entry = pid.and_then(Pid::from_raw).and_then(Entry::read);
            self.entries.extend(entry);
        } else {
            let key = |entry: &Entry| entry.pid.as_raw_pid();
            self.entries.sort_unstable_by_key(key);
            self.unmarked = Some(self.orphans());
        }
        false
    }

    /// Returns the processes whose parent has ended, which only their marker identifies.
    fn orphans(&self) -> Vec<usize> {
        let own = getpid().as_raw_pid();
        let has = |pid| find(&self.entries, pid).is_some();
        let is_orphan = |entry: &Entry| {
            let adopted = entry.parent == own || entry.parent <= 1;
            // The parent may also have ended while /proc was read.
            entry.alive && entry.session > 0 && (adopted || !has(entry.parent))
        };
        let orphans = self.entries.iter().enumerate();
        orphans
            .filter(|(_, entry)| is_orphan(entry))
            .map(|(index, _)| index)
            .collect()
    }

    /// Returns the table, and forgets the markers of processes that are not in it.
    pub(super) fn finish(self, markers: &mut Markers) -> Table {
        let table = Table::new(self.entries);
        markers.retain(|&identity, _| table.find(identity).is_some());
        table
    }
}

/// Returns the marker of a process. A failed read, as during exec, is repeated next time.
fn marker(entry: &Entry, markers: &mut Markers) -> Option<Vec<u8>> {
    let identity = entry.identity();
    if let Some(known) = markers.get(&identity) {
        return known.clone();
    }
    let environment = read_environment(entry.pid).filter(|read| !read.is_empty())?;
    let marker = find_marker(&environment);
    markers.insert(identity, marker.clone());
    marker
}

/// All processes, sorted by process id, with indices.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    by_parent: Index<i32>,
    by_session: Index<i32>,
    by_marker: Index<Vec<u8>>,
}

/// Positions in the table by a property.
type Index<T> = HashMap<T, Vec<usize>>;

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
    /// Value of its [`MARKER`], if it is an orphan that has one.
    marker: Option<Vec<u8>>,
}

#[cfg(test)]
impl FromIterator<Entry> for Table {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        entries.sort_unstable_by_key(|entry| entry.pid.as_raw_pid());
        Self::new(entries)
    }
}

impl Table {
    fn new(entries: Vec<Entry>) -> Self {
        let (mut by_parent, mut by_session) = (Index::new(), Index::new());
        let mut by_marker = Index::new();
        for (position, entry) in entries.iter().enumerate() {
            by_parent.entry(entry.parent).or_default().push(position);
            by_session.entry(entry.session).or_default().push(position);
            if let Some(marker) = &entry.marker {
                by_marker.entry(marker.clone()).or_default().push(position);
            }
        }
        Self {
            entries,
            by_parent,
            by_session,
            by_marker,
        }
    }

    /// Reads all of `/proc` at once. Returns an empty table if it is missing.
    pub(super) fn read() -> Self {
        let Some(mut reading) = Reading::begin() else {
            return Self::default();
        };
        let mut markers = Markers::new();
        while !reading.step(&mut markers) {}
        reading.finish(&mut markers)
    }

    pub(super) fn children_of(&self, parent: Pid) -> impl Iterator<Item = &Entry> {
        self.at(self.by_parent.get(&parent.as_raw_pid()))
    }

    pub(super) fn session(&self, session: i32) -> impl Iterator<Item = &Entry> {
        self.at(self.by_session.get(&session))
    }

    pub(super) fn marked(&self, marker: &[u8]) -> impl Iterator<Item = &Entry> {
        self.at(self.by_marker.get(marker))
    }

    fn at<'a>(&'a self, positions: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a Entry> {
        let positions = positions.into_iter().flatten();
        positions.map(|&position| &self.entries[position])
    }

    /// Returns the process with this identity, alive or not.
    pub(super) fn find(&self, (pid, started): Identity) -> Option<&Entry> {
        let entry = self.by_pid(pid.as_raw_pid())?;
        (entry.started == started).then_some(entry)
    }

    /// Returns the process with this id.
    pub(super) fn by_pid(&self, pid: i32) -> Option<&Entry> {
        find(&self.entries, pid)
    }
}

/// Finds a process by its id among sorted entries.
fn find(entries: &[Entry], pid: i32) -> Option<&Entry> {
    let key = |entry: &Entry| entry.pid.as_raw_pid();
    let at = entries.binary_search_by_key(&pid, key).ok()?;
    Some(&entries[at])
}

impl Entry {
    /// Reads the current entry of this process id.
    pub(super) fn read(pid: Pid) -> Option<Self> {
        Self::parse(pid, &procfs::read(&format!("{pid}/stat")).ok()?)
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
            marker: None,
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
            marker: marker.map(|marker| marker.as_bytes().to_vec()),
        }
    }

    pub(super) const fn identity(&self) -> Identity {
        (self.pid, self.started)
    }
}

/// Returns the environment that a process was executed with, if it is readable.
fn read_environment(pid: Pid) -> Option<Vec<u8>> {
    let mut environment = Vec::new();
    procfs::open(&format!("{pid}/environ"))
        .ok()?
        .take(limits::ENVIRONMENT)
        .read_to_end(&mut environment)
        .ok()?;
    Some(environment)
}

fn find_marker(environment: &[u8]) -> Option<Vec<u8>> {
    let mut variables = environment.split(|&byte| byte == 0);
    let value = variables.find_map(|variable| {
        let value = variable.strip_prefix(MARKER.as_bytes())?;
        value.strip_prefix(b"=")
    });
    value.map(<[u8]>::to_vec)
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
    fn a_snapshot_contains_this_process_and_finds_it_by_each_property() {
        let table = Table::read();
        let this = Entry::read(getpid()).unwrap();
        assert!(table.find(this.identity()).is_some());
        assert!(
            table
                .session(this.session)
                .any(|entry| entry.pid == this.pid)
        );
        let parent = Pid::from_raw(this.parent).unwrap();
        assert!(table.children_of(parent).any(|entry| entry.pid == this.pid));
    }

    #[test]
    fn a_reading_takes_one_process_at_a_time() {
        let mut markers = Markers::new();
        let mut reading = Reading::begin().unwrap();
        let mut steps = 0;
        while !reading.step(&mut markers) {
            assert!(reading.entries.len() <= steps + 1);
            steps += 1;
        }
        assert!(
            reading
                .finish(&mut markers)
                .by_pid(getpid().as_raw_pid())
                .is_some()
        );
    }
}
