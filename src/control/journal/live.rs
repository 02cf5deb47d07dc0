//! Run in progress, which writes its own records.
//!
//! Not what other processes see of it: that is [`Past`](super::Past). Invariant: the files appear whole and locked.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::ledger::SlotLedger;
use super::record::{self, Heading, Keeping, Line};
use super::slots::{Offsets, SlotFile, State, new_file};
use super::{Journal, Moment, failed};
use crate::control::exec::Output;
use crate::control::limits;
use crate::crypto::PublicKey;
use crate::home::{FileError, MAX_FILE};
use crate::message::{OsText, RequestId};

/// Requests that a run is about to send.
#[derive(Debug)]
pub struct Plan {
    /// Command of all requests that have no other.
    pub argv: Vec<OsText>,
    /// Lifetime of the records.
    pub keeping: Keeping,
    /// Relation to the records of earlier runs.
    pub known: Known,
    /// Requests, by their index in the run; `None` if nothing is sent to that host.
    pub requests: Vec<Option<Request>>,
}

/// Relation of a run's requests to the records of earlier runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// The request ids are new.
    New,
    /// Earlier runs may have records of the requests: the run attaches to a job, or its id was given. What is
    /// settled in this run is settled there too.
    Before,
}

/// Request to one host.
#[derive(Clone, Debug)]
pub struct Request {
    /// Request id.
    pub id: RequestId,
    /// The target as typed.
    pub host: String,
    /// Key of the agent.
    pub agent: PublicKey,
    /// Offsets up to which earlier runs have written the outputs.
    pub offsets: [Offsets; 2],
}

/// Run in progress.
#[derive(Debug)]
pub struct Live {
    journal: Journal,
    name: String,
    keeping: Keeping,
    /// Held open for its lock.
    lines: File,
    slots: Arc<SlotFile>,
    /// True if the offsets of outputs are not recorded.
    untracked: Arc<AtomicBool>,
    states: Vec<State>,
    /// True if earlier runs may have records of the requests.
    is_before: bool,
    /// Those requests.
    known: Vec<Option<Request>>,
    /// Requests to settle in earlier runs when this one ends: all at once, as each time all runs are read.
    settled: HashSet<(RequestId, PublicKey)>,
}

impl Live {
    pub(super) fn create(journal: &Journal, plan: Plan) -> Result<Self, FileError> {
        let (directory, now) = (&journal.directory, &journal.now());
        let random =
            getrandom::u64().map_err(|error| FileError::Io(directory.to_owned(), error.into()))?;
        let name = record::name(now, random);
        let text = text(now, &plan);
        let path = record::lines_of(directory, &name);
        if text.len() as u64 > MAX_FILE {
            return Err(FileError::TooLarge(path));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed(directory))?;
        let slots_path = record::slots_of(directory, &name);
        let slots = create(&slots_path, &plan.requests).map_err(failed(&slots_path))?;
        let lines = publish(directory, &path, &text).map_err(|error| {
            let _ = fs::remove_file(&slots_path);
            failed(&path)(error)
        })?;
        let states = plan.requests.iter().map(|request| match request {
            Some(_) => State::Open,
            None => State::Void,
        });
        Ok(Self {
            journal: journal.clone(),
            name,
            keeping: plan.keeping,
            lines,
            slots: Arc::new(slots),
            untracked: Arc::default(),
            states: states.collect(),
            settled: HashSet::new(),
            is_before: plan.known == Known::Before,
            known: match plan.known {
                Known::New => Vec::new(),
                Known::Before => plan.requests,
            },
        })
    }

    /// Records one more request, in the place of one that was `None` or behind all others, before anything of it is sent.
    /// `argv` is its command, if that is not the run's.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(
        &mut self,
        place: usize,
        request: Request,
        argv: Option<&[OsText]>,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        push_line(&mut text, place as u64, &request, argv.map(shown));
        for (output, offsets) in Output::ALL.into_iter().zip(request.offsets) {
            if offsets != Offsets::default() {
                self.slots.write_offsets(place as u64, output, offsets)?;
            }
        }
        self.lines.write_all(&text)?;
        if self.states.len() <= place {
            self.states.resize(place + 1, State::Void);
        }
        self.states[place] = State::Open;
        if self.is_before {
            if self.known.len() <= place {
                self.known.resize(place + 1, None);
            }
            self.known[place] = Some(request);
        }
        Ok(())
    }

    /// Returns a ledger that records the offsets of written outputs. `first` is the slot that the accounts of outputs
    /// give to the run's first request.
    #[must_use]
    pub fn ledger(&self, first: u32) -> SlotLedger {
        SlotLedger::new(Arc::clone(&self.slots), Arc::clone(&self.untracked), first)
    }

    /// Records that the agent has accepted a request, and the offsets that its outputs begin with. `None` stands for a
    /// job with a terminal: the agent itself knows what its screen shows, and no offsets are recorded any more.
    pub fn place(&self, place: usize, offsets: Option<[u64; 2]>) {
        if offsets.is_none() {
            self.untracked.store(true, Ordering::Relaxed);
        }
        let known = self.known.get(place).and_then(Option::as_ref);
        for output in Output::ALL {
            let begin = offsets.map(|offsets| Offsets::at(offsets[output as usize]));
            let is_news =
                known.is_some_and(|known| known.offsets[output as usize] == Offsets::UNKNOWN);
            if begin.is_none() || is_news {
                let begin = begin.unwrap_or(Offsets::UNKNOWN);
                let _ = self.slots.write_offsets(place as u64, output, begin);
            }
        }
    }

    /// Records the state of a request.
    pub fn settle(&mut self, place: usize, state: State) {
        if let Some(known) = self.states.get_mut(place) {
            *known = state;
        }
        if state == State::Settled
            && let Some(Some(request)) = self.known.get(place)
        {
            self.settled.insert((request.id, request.agent));
        }
        // When everything is settled the files are removed at the end; until then other processes read them.
        if self.states.iter().any(|state| state.is_open()) {
            let _ = self.slots.write_state(place as u64, state);
        }
    }

    /// Ends the run. The files stay if a request has no result yet.
    pub fn close(self) {
        self.journal.settle(&self.settled);
        if record::is_obsolete(self.keeping, self.states.iter().copied()) {
            record::remove(&self.journal.directory, &self.name);
        } else {
            for (slot, state) in (0..).zip(&self.states) {
                let _ = self.slots.write_state(slot, *state);
            }
        }
        drop(self.lines);
    }
}

fn text(now: &Moment, plan: &Plan) -> Vec<u8> {
    let mut text = Vec::new();
    let heading = Heading {
        v: crate::message::VERSION,
        argv: shown(&plan.argv),
        wall_ms: now.wall_ms,
        boot: now.boot.clone(),
        boottime_ms: now.boottime_ms,
        keep: plan.keeping == Keeping::UntilOld,
    };
    serde_json::to_writer(&mut text, &heading).expect("strings and numbers have a JSON form");
    text.push(b'\n');
    for (slot, request) in (0..).zip(&plan.requests) {
        let Some(request) = request else { continue };
        push_line(&mut text, slot, request, None);
    }
    text
}

fn push_line(text: &mut Vec<u8>, slot: u64, request: &Request, argv: Option<Vec<OsText>>) {
    let line = Line {
        slot,
        id: request.id,
        host: request.host.clone(),
        agent: request.agent.to_string(),
        argv,
    };
    serde_json::to_writer(&mut *text, &line).expect("strings and numbers have a JSON form");
    text.push(b'\n');
}

/// Returns the first words of a command, at most [`limits::JOURNAL_ARGV`] bytes.
fn shown(argv: &[OsText]) -> Vec<OsText> {
    let mut left = limits::JOURNAL_ARGV;
    argv.iter()
        .take_while(|word| {
            let length = word.as_os_str().len() + 1;
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        })
        .cloned()
        .collect()
}

/// Returns the file of slots. It is created if requests were made before and have offsets.
fn create(path: &Path, requests: &[Option<Request>]) -> io::Result<SlotFile> {
    let slots = SlotFile::new(path.to_owned());
    let filled = (|| {
        for (slot, request) in (0..).zip(requests) {
            let Some(request) = request else { continue };
            for (output, offsets) in Output::ALL.into_iter().zip(request.offsets) {
                if offsets != Offsets::default() {
                    slots.write_offsets(slot, output, offsets)?;
                }
            }
        }
        Ok(())
    })();
    match filled {
        Ok(()) => Ok(slots),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

/// Creates a file that is whole and locked before other processes can see it.
fn publish(directory: &Path, path: &Path, text: &[u8]) -> io::Result<File> {
    let mut aside = std::ffi::OsString::from(".");
    aside.push(path.file_name().unwrap_or_default());
    let aside = directory.join(aside);
    let mut file = new_file(&aside)?;
    let published = (|| {
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(text)?;
        fs::rename(&aside, path)
    })();
    match published {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = fs::remove_file(&aside);
            Err(error)
        }
    }
}
