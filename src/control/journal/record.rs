//! A run as it is written down, and read again by others.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use super::slots::{self, Offsets, State};
use super::{Moment, RequestId};
use crate::crypto::PublicKey;
use crate::home::{self, Readers};
use crate::message::OsText;

/// How the two files of a run end.
pub(super) const LINES: &str = ".jsonl";
const SLOTS: &str = ".slots";

/// Whether records stay when they are settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeping {
    /// No.
    UntilSettled,
    /// Until they are old: their ids were given by hand, and may come again.
    UntilOld,
}

/// The first line.
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

/// The others.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) slot: u64,
    pub(super) id: RequestId,
    pub(super) host: String,
    pub(super) agent: String,
}

/// A run as it was found.
#[derive(Debug)]
pub struct Past {
    folder: PathBuf,
    name: String,
    live: bool,
    keeping: Keeping,
    records: Vec<Record>,
}

/// A request as it was found.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place in its run.
    pub slot: u64,
    /// Its id.
    pub id: RequestId,
    /// The target, as it was typed.
    pub host: String,
    /// Whose agent was asked.
    pub agent: PublicKey,
    /// What was to be run, or its beginning.
    pub argv: Vec<OsText>,
    /// When it may first have been sent.
    pub sent: Moment,
    /// What became of it.
    pub state: State,
    /// The process that wrote it down lives.
    pub live: bool,
    /// How far its outputs were written, by [`Output`](crate::control::exec::Output).
    pub offsets: [Offsets; 2],
}

impl Record {
    /// Whether it is about this request to this agent.
    #[must_use]
    pub fn is(&self, id: RequestId, agent: &PublicKey) -> bool {
        self.id == id && self.agent == *agent
    }
}

impl Past {
    /// Reads a run. `None`: it is not there any more, or not to be understood.
    pub(super) fn read(folder: &Path, name: &str) -> Option<Self> {
        // Before its content: a run that ends meanwhile is taken for one that goes on, which is harmless.
        let live = is_live(folder, name);
        let text = home::read(&path(folder, name, LINES), Readers::Owner).ok()??;
        let slots = fs::read(path(folder, name, SLOTS)).ok()?;
        let mut lines = text.lines();
        let heading: Heading = serde_json::from_str(lines.next()?).ok()?;
        let sent = Moment {
            wall_ms: heading.wall_ms,
            boot: heading.boot,
            boottime_ms: heading.boottime_ms,
        };
        let record = |line: &str| {
            let line: Line = serde_json::from_str(line).ok()?;
            let (state, offsets) = slots::parse(&slots, line.slot);
            Some(Record {
                slot: line.slot,
                id: line.id,
                host: line.host,
                agent: line.agent.parse().ok()?,
                argv: heading.argv.clone(),
                sent: sent.clone(),
                state,
                live,
                offsets,
            })
        };
        Some(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            live,
            keeping: if heading.keep {
                Keeping::UntilOld
            } else {
                Keeping::UntilSettled
            },
            records: lines.filter_map(record).collect(),
        })
    }

    /// Its requests.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.records.iter().cloned()
    }

    /// Settles a request, unless the run goes on and will do so itself.
    pub(super) fn settle(&self, slot: u64, state: State) {
        if self.live {
            return;
        }
        if let Ok(file) = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path(&self.folder, &self.name, SLOTS))
        {
            // What stays open is asked about once more.
            let _ = slots::write_state(&file, slot, state);
        }
    }

    /// Removes it if nothing of it is outstanding.
    pub(super) fn remove_if_settled(&self) {
        let Some(now) = Self::read(&self.folder, &self.name).filter(|now| !now.live) else {
            return;
        };
        if is_over(now.keeping, now.records.iter().map(|record| record.state)) {
            remove(&self.folder, &self.name);
        }
    }
}

/// Whether a run with requests in these states need be remembered no longer.
pub(super) fn is_over(keeping: Keeping, mut states: impl Iterator<Item = State>) -> bool {
    states.all(|state| match state {
        State::Open => false,
        State::Settled => keeping == Keeping::UntilSettled,
        State::Void => true,
    })
}

/// One of the files of a run.
fn path(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("{name}{ending}"))
}

pub(super) fn lines_of(folder: &Path, name: &str) -> PathBuf {
    path(folder, name, LINES)
}

pub(super) fn slots_of(folder: &Path, name: &str) -> PathBuf {
    path(folder, name, SLOTS)
}

/// A name that sorts by time; `random` keeps it apart from others.
pub(super) fn name(moment: &Moment, random: u64) -> String {
    format!("{:013}-{random:016x}", moment.wall_ms)
}

/// When a run of this name began.
pub(super) fn began_ms(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// Whether the process that wrote it lives. One that asks takes a shared lock, so that two that ask at a
/// time do not take each other for it.
pub(super) fn is_live(folder: &Path, name: &str) -> bool {
    File::open(path(folder, name, LINES)).is_ok_and(|file| {
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    })
}

/// Removes both files. The lines go first: slots alone are nobody's.
pub(super) fn remove(folder: &Path, name: &str) {
    let _ = fs::remove_file(path(folder, name, LINES));
    let _ = fs::remove_file(path(folder, name, SLOTS));
}
