//! The descriptors that a dead supervisor has stored, as the state that the next one continues with.
//!
//! Invariant: a job whose descriptors or record are not complete is ended; nothing is guessed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};

use super::record_file::{Record, RecordFile};
use super::{OWN, Part, Store, Stored, addresses};
use crate::agent::jobs::{Exit, JobId, Phase};
use crate::agent::service_manager::Passed;
use crate::agent::supervisor::handover::{Descriptors, Inherited, IoState, JobState, State};
use crate::agent::supervisor::sessions::SessionsFile;
use crate::net::Clock;

/// Numbers of jobs that are left out after a death: more than there are jobs in any time.
const SKIPPED: u64 = 1 << 32;

/// Stored descriptors by their names. The sockets have one name.
type Named = BTreeMap<String, Vec<OwnedFd>>;

/// Records of jobs by their numbers.
type Records = BTreeMap<JobId, (RecordFile, Record)>;

impl Store {
    /// Takes what an earlier supervisor has stored; `None` if that was nothing, or if it cannot be used. Jobs that cannot
    /// be taken are ended. `epoch` is the random number of this run.
    pub fn take(&mut self, passed: &mut Passed, epoch: u64) -> Option<Inherited> {
        let mut named = Named::new();
        for (name, descriptor) in passed.stored.drain(..) {
            named.entry(name).or_default().push(descriptor);
        }
        if named.is_empty() {
            return None;
        }
        let names: Vec<String> = named.keys().cloned().collect();
        let mut records = records(&mut named);
        let taken = self.take_named(&mut named, &mut records, &mut passed.sockets, epoch);
        if let Err(error) = &taken {
            tracing::error!("the jobs of the agent that has died cannot be taken: {error}");
            self.agent = None;
            self.jobs.clear();
            self.own = 0;
            // The service manager still has a duplicate, but the cgroups may be swept.
            for lock in named.get("lock").into_iter().flatten() {
                let _ = flock(lock, FlockOperation::Unlock);
            }
        }
        self.end_left(&named, records);
        let is_kept = |name: &String| {
            let is_own = self.agent.is_some() && OWN.contains(&name.as_str());
            let part_of = |(id, job): (&JobId, &Stored)| {
                let mut parts = job.parts.iter();
                parts.any(|part| part.of_job(*id) == *name)
            };
            is_own
                || job_of(name).is_some_and(|id| self.jobs.get_key_value(&id).is_some_and(part_of))
        };
        let discards = names.into_iter().filter(|name| !is_kept(name));
        let discards: Vec<String> = discards.collect();
        self.discards.extend(discards);
        taken.ok()
    }

    fn take_named(
        &mut self,
        named: &mut Named,
        records: &mut Records,
        bound: &mut Vec<UdpSocket>,
        epoch: u64,
    ) -> io::Result<Inherited> {
        let (file, record) = RecordFile::adopt(one(named, "agent")?)?;
        let of_agent = State::parse(&record.text)?;
        let mut state = State::parse(&record.text)?;
        let mut descriptors = Descriptors::default();
        let rings = [one(named, "outputs")?, one(named, "inputs")?];
        state.rings = rings.map(|file| descriptors.insert(file));
        state.activated = !bound.is_empty();
        let mut sockets = named.remove("socket").unwrap_or_default();
        if state.activated {
            sockets = bound.drain(..).map(OwnedFd::from).collect();
        }
        self.addresses = addresses(sockets.iter().map(AsFd::as_fd));
        let now = Clock.now();
        if let Ok(file) = one(named, "sessions") {
            let (file, lost) = SessionsFile::adopt(file);
            self.sessions = Some(file);
            state.lost_sessions = lost.into_iter().map(|lost| (now, lost)).collect();
        }
        self.own = OWN.len() - 1 + sockets.len();
        let sockets = sockets.into_iter();
        state.sockets = sockets.map(|socket| descriptors.insert(socket)).collect();
        let mut lost = Vec::new();
        for id in records.keys().copied().collect::<Vec<_>>() {
            match self.take_job(id, named, records, &mut descriptors) {
                Ok((job, is_lost)) => {
                    state.jobs.push(job);
                    lost.extend(is_lost.then_some(id));
                }
                Err(error) => tracing::error!("a command cannot be taken: {error}"),
            }
        }
        // Jobs that were not stored have had later numbers: far fewer than these.
        let last = state.last_job.map_or(0, |last| last.0);
        state.last_job = Some(JobId(last.saturating_add(SKIPPED)));
        state.epoch = epoch;
        state.began = now;
        state.is_after_death = true;
        self.agent = Some((file, of_agent));
        Ok(Inherited::new(state, descriptors, lost))
    }

    /// Ends what was not taken: the trees of its records, and processes without one.
    fn end_left(&mut self, named: &Named, records: Records) {
        let tree = |text: &[u8]| {
            let mut state: serde_json::Value = serde_json::from_slice(text).ok()?;
            serde_json::from_value(state["child"]["tree"].take()).ok()
        };
        let mut is_known = HashSet::new();
        for (id, (_, record)) in records {
            if let Some(tree) = tree(&record.text) {
                is_known.insert(id);
                self.strays.push((id, tree));
            }
        }
        for (name, descriptors) in named {
            let is_process = name.ends_with(Part::Process.name());
            if is_process && job_of(name).is_none_or(|id| !is_known.contains(&id)) {
                for process in descriptors {
                    let _ = pidfd_send_signal(process, Signal::KILL);
                }
            }
        }
    }

    /// Takes a job. Returns true if bytes may have been moved since its state was recorded.
    fn take_job(
        &mut self,
        id: JobId,
        named: &mut Named,
        records: &mut Records,
        descriptors: &mut Descriptors,
    ) -> io::Result<(JobState, bool)> {
        let (_, record) = records.get(&id).ok_or(io::ErrorKind::NotFound)?;
        let is_marked = record.is_marked;
        let mut state: JobState = serde_json::from_slice(&record.text)?;
        let is_starting = state
            .child
            .as_ref()
            .is_some_and(|child| child.starting.is_some());
        if state.job != id || is_starting {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut parts = BTreeSet::from([Part::Record]);
        let wanted = Part::ALL.map(|part| (part, part.number(&mut state).is_some()));
        let wanted = wanted.into_iter().filter(|&(_, is_open)| is_open);
        let wanted: Vec<_> = wanted.map(|(part, _)| (part, part.of_job(id))).collect();
        if wanted.iter().any(|(_, name)| !named.contains_key(name)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for (part, name) in wanted {
            let descriptor = one(named, &name)?;
            if part == Part::Terminal {
                insert_terminal(&mut state.io, &descriptor, descriptors)?;
            } else if let Some(member) = part.number(&mut state) {
                *member = descriptors.insert(descriptor);
            }
            parts.insert(part);
        }
        if let Some(child) = &mut state.child {
            child.is_orphan = true;
        }
        let is_lost = is_marked && !state.forgotten;
        let (file, _) = records.remove(&id).ok_or(io::ErrorKind::NotFound)?;
        let stored = Stored {
            file,
            parts,
            is_complete: true,
        };
        self.jobs.insert(id, stored);
        Ok((state, is_lost))
    }
}

/// Inserts the duplicates of the master of a terminal, and its slave.
fn insert_terminal(
    state: &mut IoState,
    master: &OwnedFd,
    descriptors: &mut Descriptors,
) -> io::Result<()> {
    let pipes = [&mut state.outlets[0].pipe, &mut state.inlet.pipe];
    for number in pipes.into_iter().flatten() {
        *number = descriptors.insert(master.try_clone()?);
    }
    if let Some(number) = &mut state.slave {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        *number = descriptors.insert(ioctl_tiocgptpeer(master, flags)?);
    }
    Ok(())
}

/// Takes the one descriptor of a name.
fn one(named: &mut Named, name: &str) -> io::Result<OwnedFd> {
    let mut all = named.remove(name).unwrap_or_default();
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} is missing"));
    all.pop().ok_or_else(missing)
}

/// Takes the records that count. One without text was erased, or its descriptors were not all stored.
fn records(named: &mut Named) -> Records {
    let ids: BTreeSet<JobId> = named.keys().filter_map(|name| job_of(name)).collect();
    let mut records = Records::new();
    for id in ids {
        let file = one(named, &Part::Record.of_job(id));
        let record = file.and_then(RecordFile::adopt);
        if record
            .as_ref()
            .is_ok_and(|(_, record)| record.text.is_empty())
        {
            // The guard has ended it, or nothing of it is left.
            for part in Part::ALL {
                named.remove(&part.of_job(id));
            }
        } else if let Ok(record) = record {
            records.insert(id, record);
        }
    }
    records
}

/// Returns the number of the job that a name belongs to.
fn job_of(name: &str) -> Option<JobId> {
    let (number, _) = name.strip_prefix("job-")?.split_once('-')?;
    Some(JobId(number.parse().ok()?))
}

impl crate::agent::supervisor::Supervisor {
    /// Gives a job up whose bytes are not all known: its outcome is unknown, and its processes are ended.
    pub(in crate::agent::supervisor) fn give_up(&mut self, id: JobId) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        if job.is_settled() {
            return;
        }
        job.draining = None;
        job.io.close(&self.registry);
        job.update_counters();
        job.status.phase = Phase::Ended {
            exit: Exit::Unknown,
            streams_open: true,
        };
        self.draining.remove(&id);
        self.record_end(id);
        self.note(id);
        self.end_tree(Clock.now(), id, crate::agent::jobs::Force::Terminate);
    }
}
