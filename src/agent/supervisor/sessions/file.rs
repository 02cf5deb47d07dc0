//! A file in memory with the sessions of the front, which a service manager keeps for the supervisor after this one.
//!
//! Not a promise: a session that cannot be written is noticed by its controller later. Invariant: a session has one
//! place, which is written at once, so that a reader finds the whole of it or nothing.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::{pread, pwrite};

use crate::session::ResetRecord;
use crate::session::limits::SESSIONS;
use crate::wire::SessionId;

/// Octets of a place: a record in JSON, then zeros. Pages are whole numbers of places.
const PLACE: usize = 512;

/// Number of places: for the open sessions, and for those of fronts that are gone.
const PLACES: usize = 2 * SESSIONS;

/// The file.
#[derive(Debug)]
pub struct SessionsFile {
    file: OwnedFd,
    /// Places of the sessions.
    places: HashMap<SessionId, usize>,
    /// Places that are free again.
    free: Vec<usize>,
}

impl SessionsFile {
    /// Creates an empty file.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`.
    pub fn create() -> io::Result<Self> {
        let file = memfd_create("udpagent-sessions", MemfdFlags::CLOEXEC)?;
        Ok(Self::new(file))
    }

    /// Takes a file that another process has written. Returns its sessions.
    pub fn adopt(file: OwnedFd) -> (Self, Vec<ResetRecord>) {
        let length = fstat(&file).map_or(0, |stat| stat.st_size);
        let all = 0..(usize::try_from(length).unwrap_or(0) / PLACE).min(PLACES);
        let mut adopted = Self::new(file);
        let mut records = Vec::new();
        for place in all {
            match read(&adopted.file, place) {
                Some(record) => {
                    adopted.places.insert(record.agent, place);
                    records.push(record);
                }
                None => adopted.free.push(place),
            }
        }
        (adopted, records)
    }

    fn new(file: OwnedFd) -> Self {
        Self {
            file,
            places: HashMap::new(),
            free: Vec::new(),
        }
    }

    /// Returns its descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes a session, in the place that it has or a new one.
    pub fn write(&mut self, record: &ResetRecord) {
        let text = serde_json::to_vec(record).unwrap_or_default();
        let next = self.places.len() + self.free.len();
        let is_known = self.places.contains_key(&record.agent);
        if text.len() > PLACE || !is_known && self.free.is_empty() && next == PLACES {
            return;
        }
        let mut octets = [0; PLACE];
        octets[..text.len()].copy_from_slice(&text);
        let free = &mut self.free;
        let place = self.places.entry(record.agent);
        let place = *place.or_insert_with(|| free.pop().unwrap_or(next));
        let _ = pwrite(&self.file, &octets, offset(place));
    }

    /// Erases a session.
    pub fn erase(&mut self, record: &ResetRecord) {
        if let Some(place) = self.places.remove(&record.agent) {
            let _ = pwrite(&self.file, &[0; PLACE], offset(place));
            self.free.push(place);
        }
    }
}

fn offset(place: usize) -> u64 {
    (place * PLACE) as u64
}

fn read(file: &OwnedFd, place: usize) -> Option<ResetRecord> {
    let mut text = [0; PLACE];
    let length = pread(file, &mut text, offset(place)).ok()?;
    let text = text.get(..length)?;
    let end = text.iter().position(|&byte| byte == 0);
    serde_json::from_slice(&text[..end.unwrap_or(length)]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ResetToken;
    use crate::session::Path;

    fn record(number: u64) -> ResetRecord {
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        ResetRecord {
            agent: SessionId(number),
            controller: SessionId(2),
            token: ResetToken::from_bytes([3; 16]),
            path: Path {
                socket: 0,
                local: None,
                remote: remote.into(),
            },
        }
    }

    fn adopted(file: &SessionsFile) -> (SessionsFile, Vec<ResetRecord>) {
        SessionsFile::adopt(file.as_fd().try_clone_to_owned().unwrap())
    }

    #[test]
    fn sessions_are_read_back_and_erased_by_the_next_program() {
        let mut file = SessionsFile::create().unwrap();
        let [one, two, three] = [1, 2, 3].map(record);
        for record in [one, two, three, two] {
            file.write(&record);
        }
        file.erase(&two);
        let (mut next, records) = adopted(&file);
        assert_eq!(records, [one, three]);
        next.write(&two);
        next.erase(&three);
        assert_eq!(adopted(&next).1, [one, two]);
    }

    #[test]
    fn a_record_that_was_cut_is_none() {
        let mut file = SessionsFile::create().unwrap();
        file.write(&record(1));
        pwrite(&file.file, &[0; PLACE / 2], 40).unwrap();
        assert_eq!(adopted(&file).1, []);
    }
}
