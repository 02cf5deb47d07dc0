//! Records of a run's requests in the journal: those of the hosts that are known at its beginning, and of others before
//! anything is sent to them.
//!
//! Invariant: no request is sent before it is recorded, unless the journal cannot be written and the id is new.

use std::io;
use std::time::{Duration, Instant};

use super::{JobRequest, Task};
use crate::control::host_resolver::Host;
use crate::control::journal::{History, Journal, Keeping, Known, Live, Offsets, Plan, Request};
use crate::home::FileError;
use crate::message::{OsText, RequestId};

/// Journal entries of a run.
#[derive(Debug)]
pub struct Recorder {
    live: Live,
    /// Records of earlier runs, if the request ids may be known.
    history: Option<Snapshot>,
    /// True if each request is recorded with a command of its own.
    is_mixed: bool,
}

/// Records of earlier runs as they were at some time.
#[derive(Debug)]
struct Snapshot {
    history: History,
    read: Instant,
}

impl Recorder {
    /// Records the requests to hosts that are known, and sets the age of those that were made before.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn begin(
        journal: &Journal,
        argv: Vec<OsText>,
        known: Known,
        tasks: &mut [Task],
    ) -> Result<Self, FileError> {
        let history = (known == Known::Before).then(|| Snapshot::read(journal));
        let requests = tasks.iter_mut().map(|task| {
            let host = task.host.found()?.clone();
            Some(entry(
                history.as_ref(),
                &mut task.request,
                &task.label,
                &host,
            ))
        });
        let live = journal.begin(Plan {
            argv,
            keeping: match known {
                Known::New => Keeping::UntilSettled,
                Known::Before => Keeping::UntilOld,
            },
            requests: requests.collect(),
            known,
        })?;
        Ok(Self {
            live,
            history,
            is_mixed: false,
        })
    }

    /// Begins the records of a run whose requests come one by one, each with a command of its own.
    ///
    /// # Errors
    /// If the files cannot be written.
    #[cfg(feature = "cli")]
    pub(in crate::control) fn begin_mixed(
        journal: &Journal,
        known: Known,
    ) -> Result<Self, FileError> {
        let recorder = Self::begin(journal, Vec::new(), known, &mut [])?;
        Ok(Self {
            is_mixed: true,
            ..recorder
        })
    }

    /// Reads the records of earlier runs, and of this one, again if they were read longer ago than `age`. Returns true if
    /// they were.
    #[cfg(feature = "cli")]
    pub(in crate::control) fn refresh(&mut self, journal: &Journal, age: Duration) -> bool {
        match &mut self.history {
            Some(snapshot) if snapshot.read.elapsed() > age => {
                *snapshot = Snapshot::read(journal);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Takes entries that were made otherwise.
    #[must_use]
    pub const fn of(live: Live) -> Self {
        Self {
            live,
            history: None,
            is_mixed: false,
        }
    }

    /// Records the request of one more task, whose host has become known.
    ///
    /// # Errors
    /// If it cannot be recorded and its id may be known, so that it might be started twice.
    pub(in crate::control) fn add(
        &mut self,
        index: usize,
        task: &mut Task,
        host: &Host,
    ) -> io::Result<()> {
        let request = entry(self.history.as_ref(), &mut task.request, &task.label, host);
        let argv = match &task.request {
            JobRequest::Exec(exec) if self.is_mixed => Some(exec.argv.as_slice()),
            JobRequest::Exec(_) | JobRequest::Attach { .. } => None,
        };
        match self.live.add(index, request, argv) {
            Err(error) if self.history.is_some() => Err(error),
            // It serves those who attach later, and must not keep a command from running.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the entries.
    pub(in crate::control) const fn live(&mut self) -> &mut Live {
        &mut self.live
    }

    /// Ends the run.
    pub(in crate::control) fn close(self) {
        self.live.close();
    }
}

impl Snapshot {
    fn read(journal: &Journal) -> Self {
        // Before the files are read: the ages are at least as long.
        let read = Instant::now();
        Self {
            history: journal.history(),
            read,
        }
    }

    /// Returns the time since a request may first have been sent.
    fn age(&self, id: RequestId, host: &Host) -> Option<Duration> {
        let age = self.history.age(id, &host.agent)?;
        Some(age.saturating_add(self.read.elapsed()))
    }
}

/// Returns the journal's entry for a request, and sets its age. Without a history it is new.
fn entry(
    snapshot: Option<&Snapshot>,
    request: &mut JobRequest,
    label: &str,
    host: &Host,
) -> Request {
    let id = request.id();
    if let (Some(snapshot), JobRequest::Exec(exec)) = (snapshot, request) {
        let age = snapshot.age(id, host);
        exec.age_ms = age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    }
    Request {
        id,
        host: label.to_owned(),
        agent: host.agent,
        offsets: snapshot.map_or_else(Default::default, |snapshot| {
            snapshot
                .history
                .find(id, &host.agent)
                .map_or([Offsets::UNKNOWN; 2], |before| before.offsets)
        }),
    }
}
