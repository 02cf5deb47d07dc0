//! Files of a run, and the records that other processes read from them.
//!
//! Not the writing of a run in progress. Invariant: a file that cannot be understood is skipped, never an error.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use super::slots::{self, Offsets, State};
use super::{Moment, RequestId};
use crate::crypto::PublicKey;
use crate::home::{self, Readers};
use crate::message::OsText;

/// Suffix of the file of lines.
pub(super) const LINES: &str = ".jsonl";

/// Suffix of the file of slots.
const SLOTS: &str = ".slots";

/// Lifetime of a run's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeping {
    /// Until every request is settled.
    UntilSettled,
    /// Until the records are too old: the request ids were given by hand, and may be given again.
    UntilOld,
}

/// First line of the file of lines.
#[derive(Serialize, Deserialize)]
pub(super) struct Heading {
    pub(super) v: u32,
    pub(super) argv: Vec<OsText>,
    pub(super) wall_ms: u64,
    pub(super) boot: String,
    pub(super) boottime_ms: u64,
    #[serde(default)]
    pub(super) keep: bool,
}

/// Every further line: a request.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) slot: u64,
    pub(super) id: RequestId,
    pub(super) host: String,
    pub(super) agent: String,
    /// Command, if the requests of the run have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) argv: Option<Vec<OsText>>,
}

/// Run as read from its files.
#[derive(Debug)]
pub struct Past {
    directory: PathBuf,
    name: String,
    live: bool,
    keeping: Keeping,
    records: Vec<Record>,
}

/// Request as read from its run's files.
#[derive(Clone, Debug)]
pub struct Record {
    /// Slot of the request in its run.
    pub slot: u64,
    /// Request id.
    pub id: RequestId,
    /// The target as it was typed.
    pub host: String,
    /// Key of the agent.
    pub agent: PublicKey,
    /// First words of the command.
    pub argv: Vec<OsText>,
    /// Time before which the request was not sent.
    pub sent: Moment,
    /// State of the request.
    pub state: State,
    /// True if the process that made the record is running.
    pub live: bool,
    /// Lifetime of the record.
    pub keeping: Keeping,
    /// Offsets up to which the outputs were written, by [`Output`](crate::control::exec::Output).
    pub offsets: [Offsets; 2],
}

impl Past {
    /// Reads a run. Returns `None` if it no longer exists or cannot be parsed.
    pub(super) fn read(directory: &Path, name: &str) -> Option<Self> {
        // Checked before the content is read: a run that ends meanwhile then counts as in progress, which is harmless.
        let live = is_live(directory, name);
        let text = home::read(&path(directory, name, LINES), Readers::Owner).ok()??;
        let slots = match fs::read(path(directory, name, SLOTS)) {
            Ok(slots) => slots,
            // Nothing has been said yet, unless the run is being removed: then the lines are gone, too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path(directory, name, LINES).exists().then(Vec::new)?
            }
            Err(_) => return None,
        };
        let mut lines = text.lines();
        let heading: Heading = serde_json::from_str(lines.next()?).ok()?;
        let sent = Moment {
            wall_ms: heading.wall_ms,
            boot: heading.boot,
            boottime_ms: heading.boottime_ms,
        };
        let keeping = if heading.keep {
            Keeping::UntilOld
        } else {
            Keeping::UntilSettled
        };
        let record = |line: &str| {
            let line: Line = serde_json::from_str(line).ok()?;
            let (state, offsets) = slots::parse(&slots, line.slot);
            Some(Record {
                slot: line.slot,
                id: line.id,
                host: line.host,
                agent: line.agent.parse().ok()?,
                argv: line.argv.unwrap_or_else(|| heading.argv.clone()),
                sent: sent.clone(),
                state,
                live,
                keeping,
                offsets,
            })
        };
        Some(Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
            live,
            keeping,
            records: lines.filter_map(record).collect(),
        })
    }

    /// Returns the requests of the run.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.records.iter().cloned()
    }

    /// Sets the state of a request. A run in progress is left alone: it does so itself.
    pub(super) fn settle(&self, slot: u64, state: State) {
        if self.live {
            return;
        }
        if let Ok(file) = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path(&self.directory, &self.name, SLOTS))
        {
            // After a failure the request stays open, and its agent is asked once more.
            let _ = slots::write_state(&file, slot, state);
        }
    }

    /// Removes the files if no request is open.
    pub(super) fn remove_if_settled(&self) {
        let Some(now) = Self::read(&self.directory, &self.name).filter(|now| !now.live) else {
            return;
        };
        if is_obsolete(now.keeping, now.records.iter().map(|record| record.state)) {
            remove(&self.directory, &self.name);
        }
    }
}

/// Returns true if a run with requests in these states need not be kept.
pub(super) fn is_obsolete(keeping: Keeping, mut states: impl Iterator<Item = State>) -> bool {
    states.all(|state| match state {
        State::Open | State::Unanswered => false,
        State::Settled => keeping == Keeping::UntilSettled,
        State::Void => true,
    })
}

/// Returns the path of one of the files of a run.
fn path(directory: &Path, name: &str, ending: &str) -> PathBuf {
    directory.join(format!("{name}{ending}"))
}

pub(super) fn lines_of(directory: &Path, name: &str) -> PathBuf {
    path(directory, name, LINES)
}

pub(super) fn slots_of(directory: &Path, name: &str) -> PathBuf {
    path(directory, name, SLOTS)
}

/// Returns a name that sorts by time; `random` makes it unique.
pub(super) fn name(moment: &Moment, random: u64) -> String {
    format!("{:013}-{random:016x}", moment.wall_ms)
}

/// Returns the wall clock's milliseconds at the beginning of a run, from its name.
pub(super) fn began_ms(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// Returns true if the process of a run holds its lock. The test takes a shared lock, so that two tests at a time
/// do not take each other for the run.
pub(super) fn is_live(directory: &Path, name: &str) -> bool {
    File::open(path(directory, name, LINES)).is_ok_and(|file| {
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    })
}

/// Removes both files. The lines go first: a file of slots without lines belongs to no run.
pub(super) fn remove(directory: &Path, name: &str) {
    let _ = fs::remove_file(path(directory, name, LINES));
    let _ = fs::remove_file(path(directory, name, SLOTS));
}
