//! Records of a run's requests in the journal: those of the hosts that are known at its beginning, and of others before
//! anything is sent to them.
//!
//! Invariant: no request is sent before it is recorded, unless the journal cannot be written and the id is new.

use std::io;

use super::{JobRequest, Task};
use crate::control::host_resolver::Host;
use crate::control::journal::{History, Journal, Keeping, Known, Live, Offsets, Plan, Request};
use crate::home::FileError;
use crate::message::OsText;

/// Journal entries of a run.
#[derive(Debug)]
pub struct Recorder {
    live: Live,
    /// Records of earlier runs, if the request ids may be known.
    history: Option<History>,
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
        let history = (known == Known::Before).then(|| journal.history());
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
        Ok(Self { live, history })
    }

    /// Takes entries that were made otherwise.
    #[must_use]
    pub const fn of(live: Live) -> Self {
        Self {
            live,
            history: None,
        }
    }

    /// Records the request of one more task, whose host has become known.
    ///
    /// # Errors
    /// If it cannot be recorded and its id may be known, so that it might be started twice.
    pub(super) fn add(&mut self, index: usize, task: &mut Task, host: &Host) -> io::Result<()> {
        let request = entry(self.history.as_ref(), &mut task.request, &task.label, host);
        match self.live.add(index, request) {
            Err(error) if self.history.is_some() => Err(error),
            // It serves those who attach later, and must not keep a command from running.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the entries.
    pub(super) const fn live(&mut self) -> &mut Live {
        &mut self.live
    }

    /// Ends the run.
    pub(super) fn close(self) {
        self.live.close();
    }
}

/// Returns the journal's entry for a request, and sets its age. Without a history it is new.
fn entry(history: Option<&History>, request: &mut JobRequest, label: &str, host: &Host) -> Request {
    let id = request.id();
    if let (Some(history), JobRequest::Exec(exec)) = (history, request) {
        let age = history.age(id, &host.agent);
        exec.age_ms = age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    }
    Request {
        id,
        host: label.to_owned(),
        agent: host.agent,
        offsets: history.map_or_else(Default::default, |history| {
            history
                .find(id, &host.agent)
                .map_or([Offsets::UNKNOWN; 2], |before| before.offsets)
        }),
    }
}
