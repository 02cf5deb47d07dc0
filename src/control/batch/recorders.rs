//! Journal entries of a batch, whose requests come one by one.
//!
//! Requests whose ids were given are recorded apart from the others, as their records are kept longer, and each run of the
//! journal has a bounded number of them. Invariant: a request is recorded before it is sent, unless the journal cannot be
//! written and the id is new.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use crate::control::exec::{JobRequest, Recorder, Task};
use crate::control::host_resolver::Host;
use crate::control::journal::{Journal, Known, State};
use crate::control::limits;
use crate::crypto::PublicKey;
use crate::message::RequestId;

/// Entry of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    run: usize,
    place: usize,
}

/// Run of the journal that is open.
struct Run {
    recorder: Recorder,
    known: Known,
    /// Number of its entries.
    entries: usize,
    /// Those of them whose requests have not ended.
    open: usize,
}

/// Journal entries of a batch.
pub(super) struct Recorders<'a> {
    journal: &'a Journal,
    runs: HashMap<usize, Run>,
    next_run: usize,
    /// Times at which the requests whose ids were given were made here, since the journal was read.
    made: HashMap<(RequestId, PublicKey), Instant>,
}

impl<'a> Recorders<'a> {
    pub(super) fn new(journal: &'a Journal) -> Self {
        Self {
            journal,
            runs: HashMap::new(),
            next_run: 0,
            made: HashMap::new(),
        }
    }

    /// Records a request, and sets its age if it was made before.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub(super) fn add(&mut self, task: &mut Task, host: &Host) -> io::Result<Entry> {
        let is_given = matches!(&task.request, JobRequest::Exec(exec) if exec.retain);
        let known = if is_given { Known::Before } else { Known::New };
        let number = self.current(known)?;
        let run = self.runs.get_mut(&number).expect("it was found just now");
        if is_given && run.recorder.refresh(self.journal, limits::BATCH_HISTORY) {
            self.made.clear();
        }
        let place = run.entries;
        run.recorder.add(place, task, host)?;
        run.entries += 1;
        run.open += 1;
        if let (true, JobRequest::Exec(exec)) = (is_given, &mut task.request) {
            let now = Instant::now();
            let made = *self.made.entry((exec.id, host.agent)).or_insert(now);
            if made != now {
                let age = u64::try_from(made.elapsed().as_millis()).unwrap_or(u64::MAX);
                exec.age_ms = exec.age_ms.max(age.saturating_add(1));
            }
        }
        Ok(Entry { run: number, place })
    }

    /// Returns the number of the run that has room for a request.
    fn current(&mut self, known: Known) -> io::Result<usize> {
        let mut runs = self.runs.iter();
        let has_room = |run: &Run| run.known == known && run.entries < limits::BATCH_RECORDS;
        if let Some((number, _)) = runs.find(|(_, run)| has_room(run)) {
            return Ok(*number);
        }
        let recorder = Recorder::begin_mixed(self.journal, known)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let number = self.next_run;
        self.next_run += 1;
        self.runs.insert(
            number,
            Run {
                recorder,
                known,
                entries: 0,
                open: 0,
            },
        );
        Ok(number)
    }

    /// Records that the agent has accepted a request, and the offsets that its outputs begin with.
    pub(super) fn accepted(&mut self, entry: Entry, offsets: [u64; 2]) {
        if let Some(run) = self.runs.get_mut(&entry.run) {
            run.recorder.live().place(entry.place, Some(offsets));
        }
    }

    /// Records the state of a request that has ended.
    pub(super) fn ended(&mut self, entry: Entry, state: State) {
        let Some(run) = self.runs.get_mut(&entry.run) else {
            return;
        };
        if state != State::Open {
            run.recorder.live().settle(entry.place, state);
        }
        run.open -= 1;
        if run.open == 0
            && run.entries >= limits::BATCH_RECORDS
            && let Some(run) = self.runs.remove(&entry.run)
        {
            run.recorder.close();
        }
    }

    /// Ends all runs.
    pub(super) fn close(self) {
        for run in self.runs.into_values() {
            run.recorder.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::exec::TaskHost;
    use crate::message::Exec;

    fn host() -> Host {
        Host {
            label: "web1".into(),
            agent: PublicKey([7; 32]),
            paths: Vec::new(),
            ticket: None,
        }
    }

    fn task(id: u8, retain: bool) -> Task {
        let mut exec = Exec::new(RequestId([id; 16]), vec!["echo".into(), "hi".into()]);
        exec.retain = retain;
        Task {
            label: "web1".into(),
            host: TaskHost::Found(Ok(host())),
            request: JobRequest::Exec(exec),
        }
    }

    fn age(task: &Task) -> u64 {
        match &task.request {
            JobRequest::Exec(exec) => exec.age_ms,
            JobRequest::Attach { .. } => 0,
        }
    }

    #[test]
    fn a_run_of_the_journal_has_a_bounded_number_of_requests_and_goes_when_all_are_settled() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path().join("requests"), "boot".into());
        let mut recorders = Recorders::new(&journal);
        assert!(journal.runs().is_empty(), "nothing is created for nothing");
        let entries: Vec<Entry> = (0..=limits::BATCH_RECORDS)
            .map(|_| recorders.add(&mut task(1, false), &host()).unwrap())
            .collect();
        let runs = journal.runs();
        let mut counts: Vec<usize> = runs.iter().map(|run| run.records().count()).collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, limits::BATCH_RECORDS]);
        let record = runs[0].records().next().unwrap();
        assert_eq!(record.argv, ["echo".into(), "hi".into()]);
        for entry in entries {
            recorders.ended(entry, State::Settled);
        }
        assert_eq!(journal.runs().len(), 1, "the full one is gone");
        recorders.close();
        assert!(journal.runs().is_empty());
    }

    #[test]
    fn a_request_with_an_id_that_was_made_before_has_an_age() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path().join("requests"), "boot".into());
        let mut recorders = Recorders::new(&journal);
        let (mut new, mut first, mut again) = (task(1, false), task(2, true), task(2, true));
        recorders.add(&mut new, &host()).unwrap();
        let entry = recorders.add(&mut first, &host()).unwrap();
        assert_eq!((age(&new), age(&first)), (0, 0));
        recorders.ended(entry, State::Settled);
        recorders.add(&mut again, &host()).unwrap();
        assert!(age(&again) > 0);
    }
}
