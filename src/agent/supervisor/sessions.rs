//! The sessions of the front, so that the next front can tell their controllers that they are lost.
//!
//! Not their contents. Invariant: at most as many are kept as there can be, and none longer than a controller
//! would wait for it.

mod file;

use std::collections::{HashMap, VecDeque};

use crate::crypto::PublicKey;
use crate::session::limits::{IDLE, SESSIONS};
use crate::session::{Path, ResetRecord};
use crate::time::Instant;

pub use file::SessionsFile;

/// Sessions by the number that their front gave them.
#[derive(Default)]
pub struct Sessions {
    open: HashMap<u64, (PublicKey, ResetRecord)>,
    /// Sessions of fronts that are gone, and since when.
    lost: VecDeque<(Instant, ResetRecord)>,
    /// Copy for the supervisor after this one.
    file: Option<SessionsFile>,
}

impl Sessions {
    /// Copies the sessions to a file from now on.
    pub fn keep_in(&mut self, mut file: SessionsFile) {
        let open = self.open.values().map(|(_, record)| record);
        for record in self.lost.iter().map(|(_, record)| record).chain(open) {
            file.write(record);
        }
        self.file = Some(file);
    }

    /// Enters a session.
    pub fn open(&mut self, session: u64, key: PublicKey, record: ResetRecord) {
        if self.open.len() < SESSIONS {
            self.open.insert(session, (key, record));
            if let Some(file) = &mut self.file {
                file.write(&record);
            }
        }
    }

    /// Number of open sessions.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Returns the number of open sessions of each key that has any.
    pub fn by_key(&self) -> HashMap<PublicKey, u64> {
        let mut counts = HashMap::new();
        for (key, _) in self.open.values() {
            *counts.entry(*key).or_default() += 1;
        }
        counts
    }

    /// Changes the path of a session.
    pub fn move_to(&mut self, session: u64, path: Path) {
        if let Some((_, record)) = self.open.get_mut(&session) {
            record.path = path;
            if let Some(file) = &mut self.file {
                file.write(record);
            }
        }
    }

    /// Removes a session. Returns its key.
    pub fn close(&mut self, session: u64) -> Option<PublicKey> {
        let (key, record) = self.open.remove(&session)?;
        if let Some(file) = &mut self.file {
            file.erase(&record);
        }
        Some(key)
    }

    /// Marks all sessions as lost.
    pub fn lose(&mut self, now: Instant) {
        self.lost
            .extend(self.open.drain().map(|(_, (_, record))| (now, record)));
        while let Some(&(since, record)) = self.lost.front()
            && (now.since(since) > IDLE || self.lost.len() > SESSIONS)
        {
            self.lost.pop_front();
            if let Some(file) = &mut self.file {
                file.erase(&record);
            }
        }
    }

    /// Returns all sessions, of which the present ones are lost from `now` on.
    pub fn all(&self, now: Instant) -> impl Iterator<Item = (Instant, ResetRecord)> {
        let open = self.open.values().map(move |&(_, record)| (now, record));
        self.lost.iter().copied().chain(open)
    }

    /// Takes the sessions of fronts that are gone.
    pub fn restore(&mut self, lost: &[(Instant, ResetRecord)]) {
        self.lost.extend(lost);
    }

    /// Returns the lost sessions.
    pub fn lost(&self) -> impl Iterator<Item = ResetRecord> {
        self.lost.iter().map(|lost| lost.1)
    }
}
