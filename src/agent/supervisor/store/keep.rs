//! When the supervisor stores its jobs, writes their records, and discards them.
//!
//! Invariant: each job that runs is known to the guard or is stored with all its descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{AGE, OWN, RETRY, Store, addresses};
use crate::agent::jobs::JobId;
use crate::agent::supervisor::child::Child;
use crate::agent::supervisor::handover::{JobState, State};
use crate::agent::supervisor::job::Job;
use crate::agent::supervisor::sessions::SessionsFile;
use crate::agent::supervisor::tally::Tally;
use crate::agent::supervisor::{Supervisor, limits};
use crate::net::Clock;
use crate::process::{Cgroups, Tree};
use crate::time::Instant;

impl Supervisor {
    /// Lets a service manager keep descriptors, once the sockets are known.
    pub fn set_store(&mut self, store: Option<Store>) {
        self.store = store;
    }

    /// Lets the service manager keep the descriptors of the jobs from now on. `sockets` are those of the front, and
    /// `activated` tells that the service manager has bound them.
    pub(in crate::agent::supervisor) fn open_store(
        &mut self,
        sockets: &[BorrowedFd<'_>],
        activated: bool,
    ) {
        if self.store.is_none() {
            return;
        }
        let numbers = if activated { &[][..] } else { sockets };
        let numbers = numbers.iter().map(AsRawFd::as_raw_fd);
        let state = State {
            jobs: Vec::new(),
            helpers: Vec::new(),
            register: Vec::new(),
            seen: Vec::new(),
            seen_before: Vec::new(),
            lost_sessions: Vec::new(),
            unsent: [Vec::new(), Vec::new()],
            unsent_typed: None,
            is_draft_lost: false,
            guard: None,
            lock: None,
            in_force: None,
            tally: Tally::new(),
            ..self.state(numbers.collect(), activated)
        };
        let Some(store) = &mut self.store else { return };
        if store.agent.is_none() {
            let sessions = match SessionsFile::create() {
                Ok(file) => file,
                Err(error) => return store.report(&error),
            };
            let mut descriptors = vec![
                ("outputs", self.shared.outputs.file()),
                ("inputs", self.shared.inputs.file()),
                ("sessions", sessions.as_fd()),
            ];
            // As long as it is kept, no other agent ends what is in the cgroups.
            let lock = self.cgroups.as_ref().map(Cgroups::lock);
            descriptors.extend(lock.map(|lock| ("lock", lock)));
            if !activated {
                descriptors.extend(sockets.iter().map(|&socket| ("socket", socket)));
            }
            store.opening = None;
            match store.add_agent(state, &descriptors) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // From the beginning, so that nothing is kept twice.
                    store.discards.extend(OWN.map(str::to_owned));
                    store.opening = Some(Clock.now() + RETRY);
                    return;
                }
                Err(error) => return store.report(&error),
            }
            store.sessions = Some(sessions);
            store.addresses = addresses(sockets.iter().copied());
        } else if !activated {
            store.opening = None;
            store.store_sockets(Clock.now(), sockets);
        }
        if let Some(file) = store.sessions.take() {
            self.sessions.keep_in(file);
        }
        // What has changed between the takeover and now.
        store.touched.extend(store.jobs.keys());
        for (id, tree) in std::mem::take(&mut store.strays) {
            if let Some(guard) = &mut self.guard {
                guard.started(id, tree.clone());
            }
            if let Some(tree) = Tree::from_parts(tree) {
                self.endings.start_tree(id, tree, Clock.now());
            }
        }
        for id in self.table.ids() {
            self.store_job(id);
        }
    }

    /// Lets a job that runs be stored when it is old enough.
    pub(in crate::agent::supervisor) fn store_later(&mut self, id: JobId) {
        if let Some(store) = &mut self.store {
            store.young.push_back((Clock.now() + AGE, id));
        }
    }

    /// Stores a job. From then on the guard leaves it alone.
    fn store_job(&mut self, id: JobId) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        // A program that was not executed yet is not followed by another agent.
        if matches!(job.child, Some(Child::Starting(_))) || self.closed {
            return;
        }
        let state = self.record_of(id, job);
        let Some(store) = self.store.as_mut().filter(|store| store.agent.is_some()) else {
            return;
        };
        let was_stored = store.jobs.get(&id).is_some_and(|job| job.is_complete);
        match store.add(id, state, job) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return store.young.push_front((Clock.now() + RETRY, id));
            }
            Err(error) => {
                store.report(&error);
                if was_stored {
                    return self.leave_to_guard(&[id]);
                }
                return store.remove(id);
            }
        }
        if let Some(guard) = &mut self.guard {
            guard.gone(id);
            guard.flush();
        }
    }

    fn record_of(&self, id: JobId, job: &Job) -> JobState {
        JobState {
            // A picture is large, and serves convenience only.
            picture: None,
            ..self.job_state(id, job)
        }
    }

    /// Marks the record of a job, because bytes are about to be moved.
    pub(in crate::agent::supervisor) fn before_move(&mut self, id: JobId) {
        let Some(store) = &mut self.store else { return };
        if let Some(stored) = store.jobs.get_mut(&id) {
            store.touched.insert(id);
            if let Err(error) = stored.file.mark() {
                tracing::error!("the record of a command cannot be written: {error}");
                self.leave_to_guard(&[id]);
            }
        }
    }

    /// Notes that the record of a job is out of date.
    pub(in crate::agent::supervisor) fn touch(&mut self, id: JobId) {
        if let Some(store) = &mut self.store {
            store.touched.insert(id);
        }
    }

    /// Writes the records that are out of date. Call before the front is told of changes.
    pub(in crate::agent::supervisor) fn flush_store(&mut self, now: Instant) {
        while let Some(store) = &mut self.store
            && let Some(&(at, id)) = store.young.front()
            && at <= now
        {
            store.young.pop_front();
            self.store_job(id);
        }
        let Some(store) = &mut self.store else { return };
        for id in std::mem::take(&mut store.touched) {
            self.store_changes(id);
        }
        if let Some(store) = &mut self.store {
            store.flush(now);
        }
    }

    /// Writes the record of a job, or erases it if the job is gone. Call it before the rings of a job are cleared.
    pub(in crate::agent::supervisor) fn store_changes(&mut self, id: JobId) {
        let is_stored = |store: &&mut Store| store.jobs.contains_key(&id);
        let Some(store) = self.store.as_mut().filter(is_stored) else {
            return;
        };
        let Some(job) = self.table.get(id) else {
            return store.remove(id);
        };
        let state = self.record_of(id, job);
        if let Some(store) = &mut self.store
            && let Err(error) = store.update(id, state)
        {
            tracing::error!("the record of a command cannot be written: {error}");
            self.leave_to_guard(&[id]);
        }
    }

    /// Leaves jobs to the guard again, which has read of them then, or does not read in time.
    fn leave_to_guard(&mut self, jobs: &[JobId]) {
        if let Some(guard) = &mut self.guard
            && !jobs.is_empty()
        {
            for &id in jobs {
                let child = self.table.get(id).and_then(|job| job.child.as_ref());
                if let Some(child) = child {
                    guard.started(id, child.process().tree().to_parts());
                }
            }
            // Before the records are erased: one of the two always knows a job. The guard only reads, so this is short.
            guard.wait_until_sent(limits::GUARD);
        }
        if let Some(store) = &mut self.store {
            for &id in jobs {
                store.remove(id);
            }
        }
    }

    /// Discards everything and leaves the jobs to the guard, because the agent ends or its program is replaced. Further
    /// calls have no effect. Returns true once the service manager knows.
    pub(in crate::agent::supervisor) fn close_store(&mut self, now: Instant) -> bool {
        let Some(store) = &mut self.store else {
            return true;
        };
        store.opening = None;
        if store.agent.take().is_some() {
            store.own = 0;
            store.discards.extend(OWN.map(str::to_owned));
            let jobs: Vec<JobId> = store.jobs.keys().copied().collect();
            self.leave_to_guard(&jobs);
        }
        self.flush_store(now);
        self.store
            .as_ref()
            .is_none_or(|store| store.discards.is_empty())
    }

    /// Returns the time of the next message to the service manager.
    pub(in crate::agent::supervisor) fn store_deadline(&self) -> Option<Instant> {
        let store = self.store.as_ref()?;
        let young = store.young.front().map(|&(at, _)| at);
        young
            .into_iter()
            .chain(store.retry)
            .chain(store.opening)
            .min()
    }

    /// True if the store is to be opened now, because there was no room for it before.
    pub(in crate::agent::supervisor) fn must_open_store(&self, now: Instant) -> bool {
        let opening = self.store.as_ref().and_then(|store| store.opening);
        opening.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::super::record_file::RecordFile;
    use super::super::{Store, Stored};
    use super::*;
    use crate::agent::service_manager::ServiceManager;
    use crate::agent::supervisor::guard::Guard;
    use crate::agent::supervisor::{Config, Trust};
    use crate::agent::switch::Switch;
    use crate::process::{CgroupLimits, CgroupParent};

    fn supervisor(guard: Guard) -> Supervisor {
        let config = Config {
            trust: Trust::Keys(Vec::new()),
            exec: Switch::Off,
            max_jobs: 1,
            max_output: None,
            resources: Vec::new(),
            replay_log: None,
            audit: None,
            log: None,
            guard: Some(guard),
            takes_over: false,
            recorder: None,
            cgroup_limits: CgroupLimits::default(),
            cgroup_parent: CgroupParent::Off,
            mark: 1,
            epoch: 1,
        };
        Supervisor::new(config).unwrap()
    }

    #[test]
    fn a_guard_that_does_not_read_is_waited_for_once_and_not_for_each_job() {
        const JOBS: u64 = 8;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _manager = UnixDatagram::bind(&path).unwrap();
        let (own, _unread) = UnixStream::pair().unwrap();
        let mut guard = Guard::adopt(own.into()).unwrap();
        while guard.is_idle() {
            guard.gone(JobId(0));
            guard.flush();
        }
        let mut supervisor = supervisor(guard);
        let manager = ServiceManager::at(path.as_os_str()).unwrap();
        let mut store = Store::new(manager, 64);
        let state = supervisor.state(Vec::new(), false);
        store.agent = Some((RecordFile::create().unwrap(), state));
        for id in 0..JOBS {
            let stored = Stored {
                file: RecordFile::create().unwrap(),
                parts: BTreeSet::new(),
                is_complete: true,
            };
            store.jobs.insert(JobId(id), stored);
        }
        supervisor.set_store(Some(store));
        let begun = Clock.now();
        assert!(supervisor.close_store(begun));
        let spent = Clock.now().since(begun);
        assert!(spent >= limits::GUARD, "{spent:?}");
        assert!(spent < limits::GUARD * 4, "{spent:?}");
        assert!(supervisor.store.unwrap().jobs.is_empty());
    }
}
