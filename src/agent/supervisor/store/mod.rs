//! The store: the service manager keeps the descriptors of running jobs, so that they go on if the supervisor dies.
//!
//! Each job that runs has a [`RecordFile`] with its state; the file, the pidfd, the pipes and the terminal are stored,
//! each under a name of its own. The next supervisor takes them up again ([`taken`]). A job that cannot be stored is left
//! to the guard, which ends it if the supervisor dies.
//!
//! Invariants: the front is told nothing that the records do not contain; a record is marked before bytes are moved;
//! a descriptor that is closed here is discarded there, so that the process sees its end; no call waits for the service
//! manager. Jobs that are left to the guard again wait until the guard has read of them, together at most a second.

mod keep;
mod record_file;
mod taken;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::net::{SocketAddrAny, getsockname};
use rustix::process::{Resource, getrlimit};

use self::record_file::RecordFile;
use super::handover::{Inherited, JobState, State};
use super::job::Job;
use super::sessions::SessionsFile;
use crate::agent::jobs::JobId;
use crate::agent::service_manager::{Passed, ServiceManager};
use crate::process::TreeParts;
use crate::time::Instant;

/// Delay before a message is sent again that the service manager had no room for.
const RETRY: Duration = Duration::from_millis(20);

/// Delay before a message is sent again that could not be sent for another reason.
const RETRY_FAILED: Duration = Duration::from_secs(1);

/// Age at which a command is stored. Most commands have ended by then, and cost the service manager nothing; so do
/// programs that are to see the end of a short input at once.
const AGE: Duration = Duration::from_millis(250);

/// Upper bound of the stored descriptors, with the names of which the service manager starts the next agent: together
/// they must fit into one variable, which has 128 KiB (`MAX_ARG_STRLEN`).
const DESCRIPTORS: usize = 4000;

/// Descriptors that an agent needs besides those that are passed to it, before it raises its limit.
const RESERVE: usize = 128;

/// Names of the descriptors of the agent itself.
const OWN: [&str; 6] = ["agent", "outputs", "inputs", "sessions", "lock", "socket"];

/// Part of a job that has a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Record,
    Process,
    Stdin,
    Stdout,
    Stderr,
    /// Master of a terminal, in place of stdin and stdout, which are duplicates of it: a service manager keeps one.
    /// The slave is opened anew.
    Terminal,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::Record,
        Self::Process,
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::Terminal,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Process => "process",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Terminal => "terminal",
        }
    }

    fn of_job(self, id: JobId) -> String {
        format!("job-{}-{}", id.0, self.name())
    }

    /// Returns the member of a state that has the number of its descriptor. A record has none.
    fn number(self, state: &mut JobState) -> Option<&mut RawFd> {
        match self {
            Self::Record => None,
            Self::Process => state.child.as_mut().map(|child| &mut child.pidfd),
            Self::Stdin | Self::Stdout if state.io.on_terminal => None,
            Self::Stdin => state.io.inlet.pipe.as_mut(),
            Self::Stdout => state.io.outlets[0].pipe.as_mut(),
            Self::Stderr => state.io.outlets[1].pipe.as_mut(),
            Self::Terminal if !state.io.on_terminal => None,
            Self::Terminal => match &mut state.io.outlets[0].pipe {
                None => state.io.inlet.pipe.as_mut(),
                pipe => pipe.as_mut(),
            },
        }
    }
}

/// A job whose descriptors are stored.
#[derive(Debug)]
struct Stored {
    file: RecordFile,
    parts: BTreeSet<Part>,
    /// True once all of them are. The record is empty before.
    is_complete: bool,
}

/// Descriptors in a service manager.
#[derive(Debug)]
pub struct Store {
    manager: ServiceManager,
    /// Number of descriptors that it keeps at most.
    most: usize,
    /// Record of the agent, once it is stored.
    agent: Option<(RecordFile, State)>,
    /// File of the sessions that is stored, until it is written again.
    sessions: Option<SessionsFile>,
    /// Addresses of the stored sockets.
    addresses: Vec<SocketAddrAny>,
    /// True if the sockets are to be stored again.
    must_store_sockets: bool,
    /// Trees of jobs that could not be taken, which are to be ended.
    strays: Vec<(JobId, TreeParts)>,
    /// Number of stored descriptors of the agent itself.
    own: usize,
    jobs: BTreeMap<JobId, Stored>,
    /// Jobs that are to be stored at a time, earliest first.
    young: VecDeque<(Instant, JobId)>,
    /// Jobs whose records are out of date.
    touched: BTreeSet<JobId>,
    /// Names that wait to be discarded.
    discards: VecDeque<String>,
    /// Time at which they are discarded, if the service manager had no room.
    retry: Option<Instant>,
    /// Time at which the descriptors of the agent are stored, if there was no room for them before.
    opening: Option<Instant>,
    has_failed: bool,
}

impl Store {
    /// Returns the store of the service manager that has started this program, if it keeps descriptors, as systemd says
    /// in `FDSTORE` since version 254, or has kept `passed`.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is no address of a socket.
    pub fn from_environment(
        passed: &Passed,
        inherited: Option<&Inherited>,
    ) -> io::Result<Option<Self>> {
        // The next agent is started within this limit.
        let limit = inherited.and_then(Inherited::original_descriptors);
        let limit = limit.or_else(|| getrlimit(Resource::Nofile).current);
        let kept = std::env::var("FDSTORE").unwrap_or_default();
        let most = most(kept.parse().unwrap_or(0), limit);
        let manager = ServiceManager::from_environment()?;
        let is_wanted = most > 0 || !passed.stored.is_empty();
        Ok((is_wanted && manager.is_present()).then(|| Self::new(manager, most)))
    }

    /// Returns a store in which nothing is.
    const fn new(manager: ServiceManager, most: usize) -> Self {
        Self {
            manager,
            most,
            agent: None,
            sessions: None,
            addresses: Vec::new(),
            must_store_sockets: false,
            strays: Vec::new(),
            own: 0,
            jobs: BTreeMap::new(),
            young: VecDeque::new(),
            touched: BTreeSet::new(),
            discards: VecDeque::new(),
            retry: None,
            opening: None,
            has_failed: false,
        }
    }

    /// Returns the number of stored descriptors.
    fn len(&self) -> usize {
        let jobs: usize = self.jobs.values().map(|job| job.parts.len()).sum();
        self.own + jobs + self.discards.len()
    }

    /// Stores the descriptors of the agent.
    fn add_agent(
        &mut self,
        state: State,
        descriptors: &[(&str, BorrowedFd<'_>)],
    ) -> io::Result<()> {
        if !self.discards.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut file = RecordFile::create()?;
        file.write(&text_of_agent(&state)?)?;
        for (name, descriptor) in descriptors {
            self.manager.store(name, &[*descriptor])?;
        }
        self.manager.store("agent", &[file.as_fd()])?;
        self.own = 1 + descriptors.len();
        self.agent = Some((file, state));
        Ok(())
    }

    /// Stores the descriptors of a job that are not stored yet.
    fn add(&mut self, id: JobId, mut state: JobState, job: &Job) -> io::Result<()> {
        let held = self.len();
        let Some((agent, of_agent)) = &mut self.agent else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        // A name that is still to be discarded cannot be used again before.
        if !self.discards.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let stored = match self.jobs.entry(id) {
            Entry::Occupied(stored) => stored.into_mut(),
            Entry::Vacant(place) => {
                of_agent.last_job = of_agent.last_job.max(Some(id));
                agent.write(&text_of_agent(of_agent)?)?;
                let mut file = RecordFile::create()?;
                file.write(b"")?;
                place.insert(Stored {
                    file,
                    parts: BTreeSet::new(),
                    is_complete: false,
                })
            }
        };
        let mut descriptors = vec![(Part::Record, stored.file.as_fd())];
        for part in Part::ALL {
            if let Some(number) = part.number(&mut state).copied() {
                let descriptor = descriptor(job, number).ok_or(io::ErrorKind::NotFound)?;
                descriptors.push((part, descriptor));
            }
        }
        descriptors.retain(|(part, _)| !stored.parts.contains(part));
        if held + descriptors.len() > self.most {
            return Err(io::Error::other(format!("it keeps {} at most", self.most)));
        }
        for (part, descriptor) in descriptors {
            self.manager.store(&part.of_job(id), &[descriptor])?;
            stored.parts.insert(part);
        }
        if !stored.is_complete {
            stored.file.write(&text(&state)?)?;
            stored.is_complete = true;
        }
        Ok(())
    }

    /// Writes the record of a job, and discards what it has closed.
    fn update(&mut self, id: JobId, mut state: JobState) -> io::Result<()> {
        let Some(stored) = self.jobs.get_mut(&id) else {
            return Ok(());
        };
        if stored.is_complete {
            stored.file.write(&text(&state)?)?;
        }
        let discards = &mut self.discards;
        stored.parts.retain(|&part| {
            let is_open = part == Part::Record || part.number(&mut state).is_some();
            if !is_open {
                discards.push_back(part.of_job(id));
            }
            is_open
        });
        Ok(())
    }

    /// Discards the descriptors of a job. Its record is erased first, so that it counts no longer, however late the
    /// service manager discards it.
    fn remove(&mut self, id: JobId) {
        if let Some(mut stored) = self.jobs.remove(&id) {
            if let Err(error) = stored.file.write(b"") {
                tracing::error!("the record of a command cannot be erased: {error}");
            }
            let parts = stored.parts.into_iter();
            self.discards.extend(parts.map(|part| part.of_job(id)));
        }
    }

    /// Sends what waits for room in the service manager.
    fn flush(&mut self, now: Instant) {
        self.retry = None;
        while let Some(name) = self.discards.front() {
            if let Err(error) = self.manager.discard(name) {
                let is_full = error.kind() == io::ErrorKind::WouldBlock;
                self.retry = Some(now + if is_full { RETRY } else { RETRY_FAILED });
                if !is_full {
                    self.report(&error);
                }
                return;
            }
            self.discards.pop_front();
        }
    }

    /// Stores the sockets again if they were bound to other addresses.
    fn store_sockets(&mut self, now: Instant, sockets: &[BorrowedFd<'_>]) {
        let addresses = addresses(sockets.iter().copied());
        let is_same = addresses.len() == self.addresses.len()
            && addresses.iter().all(|one| self.addresses.contains(one));
        if !is_same {
            self.addresses = addresses;
            self.discards.push_back("socket".to_owned());
            self.must_store_sockets = true;
        }
        if !self.must_store_sockets {
            return;
        }
        let stored = |socket: &BorrowedFd<'_>| self.manager.store("socket", &[*socket]);
        if !self.discards.is_empty() || sockets.iter().try_for_each(stored).is_err() {
            self.opening = Some(now + RETRY);
            return;
        }
        self.must_store_sockets = false;
        self.own = OWN.len() - 1 + sockets.len();
    }

    fn report(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!(
                "the service manager does not keep the descriptors of a command: {error}; \
                 after a crash of the agent such commands are ended"
            );
        }
    }
}

/// Returns the number of descriptors that are stored at most, of as many as a service manager keeps. The next agent is
/// started with a soft limit of open files.
fn most(kept: usize, limit: Option<u64>) -> usize {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let room = limit.map_or(usize::MAX, |limit| limit.saturating_sub(RESERVE));
    kept.min(room).min(DESCRIPTORS)
}

/// Returns the text of the state of the agent.
fn text_of_agent(state: &State) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    state.write(&mut text)?;
    Ok(text)
}

/// Returns the text of the state of a job.
fn text(state: &JobState) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(state)?)
}

/// Returns the descriptor of a job that has a number.
fn descriptor(job: &Job, number: RawFd) -> Option<BorrowedFd<'_>> {
    let child = job.child.iter().map(|child| child.pidfd());
    let mut all = child.chain(job.io.descriptors());
    all.find(|descriptor| descriptor.as_raw_fd() == number)
}

/// Returns the addresses of sockets.
fn addresses<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<SocketAddrAny> {
    sockets
        .filter_map(|socket| getsockname(socket).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_descriptors_are_stored_as_the_next_agent_can_take() {
        assert_eq!(most(64, Some(1024)), 64);
        assert_eq!(most(5000, Some(1024)), 1024 - 128);
        assert_eq!(most(5000, Some(4128)), 4000);
        assert_eq!(most(5000, None), 4000);
        assert_eq!(most(64, Some(100)), 0);
    }

    #[test]
    fn the_names_of_all_descriptors_fit_into_one_variable() {
        // Of jobs after two hundred deaths, with both outputs.
        let id = JobId(200 << 32);
        let parts = [Part::Record, Part::Process, Part::Stdout, Part::Stderr];
        let names = parts.map(|part| format!(":stored-{}", part.of_job(id)).len());
        let all = DESCRIPTORS / parts.len() * names.iter().sum::<usize>();
        assert!("LISTEN_FDNAMES=".len() + all < 128 << 10, "{all}");
    }
}
