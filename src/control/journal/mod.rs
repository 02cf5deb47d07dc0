//! Journal of requests that this user's `udpctl` has sent and has no result of.
//!
//! A run records its requests before its first datagram, in two files of one name: `NAME.jsonl` has a line
//! about the run and one for each request, and `NAME.slots` has the state of each request and the offsets up to
//! which its outputs were written, both kept up to date; it is created with the first of them. The run holds a lock on
//! the first file, which distinguishes a run in progress from one that crashed. Both files are removed when every request
//! is settled.
//!
//! The protocol does not depend on the journal. It serves users who attach later, and it keeps a request id that
//! was given by hand from being started again by an agent that has restarted. It outlives the process, not the
//! machine: nothing is synced to disk.
//!
//! Invariants: the journal is bounded ([`limits::JOURNAL_RUNS`], [`limits::JOURNAL_AGE`]); only the process that
//! holds the lock writes a slot, except for its state, which only ever moves away from open.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::limits;
use crate::crypto::PublicKey;
use crate::home::FileError;
use crate::message::RequestId;
use crate::net;
use crate::time::micros;

mod history;
mod ledger;
mod live;
mod record;
mod slots;

pub use history::History;
pub use ledger::SlotLedger;
pub use live::{Known, Live, Plan, Request};
pub use record::{Keeping, Past, Record};
pub use slots::{Offsets, State};

/// Journal in a directory, with the clocks that date its records.
#[derive(Clone, Debug)]
pub struct Journal {
    directory: PathBuf,
    boot: String,
}

/// Point in time, in two clocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Wall clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Id of the machine's boot; empty if it is not known.
    pub boot: String,
    /// Boot-time clock, in milliseconds since that boot.
    pub boottime_ms: u64,
}

impl Journal {
    /// Opens the journal in `directory`, for the boot with the id `boot`. Nothing is created.
    #[must_use]
    pub const fn new(directory: PathBuf, boot: String) -> Self {
        Self { directory, boot }
    }

    /// Returns the current time in both clocks.
    #[must_use]
    pub fn now(&self) -> Moment {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Moment {
            wall_ms: micros(wall) / 1000,
            boot: self.boot.clone(),
            boottime_ms: net::Clock.now().as_micros() / 1000,
        }
    }

    /// Returns all recorded runs, the newest first. Files that cannot be read are skipped.
    #[must_use]
    pub fn runs(&self) -> Vec<Past> {
        let mut names = self.names();
        names.reverse();
        names
            .iter()
            .filter_map(|name| Past::read(&self.directory, name))
            .collect()
    }

    /// Returns the records of all requests, read once for a run that may have many.
    #[must_use]
    pub fn history(&self) -> History {
        History::of(&self.runs(), &self.now())
    }

    /// Settles every record of these requests, except in runs in progress.
    pub fn settle(&self, requests: &HashSet<(RequestId, PublicKey)>) {
        if requests.is_empty() {
            return;
        }
        for run in self.runs() {
            let mut touched = false;
            for record in run.records() {
                if requests.contains(&(record.id, record.agent)) {
                    run.settle(record.slot, State::Settled);
                    touched = true;
                }
            }
            if touched {
                run.remove_if_settled();
            }
        }
    }

    /// Records a run, before anything of it is sent.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn begin(&self, plan: Plan) -> Result<Live, FileError> {
        self.prune();
        Live::create(self, plan)
    }

    /// Returns the names of all runs, the oldest first.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let stem = name.strip_suffix(record::LINES)?;
                (!stem.starts_with('.')).then(|| stem.to_owned())
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// Removes runs that are too old, and the oldest if there are too many, except runs in progress.
    fn prune(&self) {
        let names = self.names();
        let surplus = (names.len() + 1).saturating_sub(limits::JOURNAL_RUNS);
        let oldest = self
            .now()
            .wall_ms
            .saturating_sub(micros(limits::JOURNAL_AGE) / 1000);
        for (index, name) in names.iter().enumerate() {
            let stale = record::began_ms(name).is_none_or(|began| began < oldest);
            if index >= surplus && !stale {
                break;
            }
            if !record::is_live(&self.directory, name) {
                record::remove(&self.directory, name);
            }
        }
    }
}

impl Moment {
    /// Returns the time since an earlier moment. Across boots it is that of the wall clock.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let same_boot = !self.boot.is_empty() && self.boot == earlier.boot;
        let (now, then) = if same_boot {
            (self.boottime_ms, earlier.boottime_ms)
        } else {
            (self.wall_ms, earlier.wall_ms)
        };
        Duration::from_millis(now.saturating_sub(then))
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError::Io(path.clone(), error)
}

#[cfg(test)]
mod tests;
