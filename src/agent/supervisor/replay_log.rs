//! File of the fingerprints of answered INITs, so that a captured INIT is not answered again after a restart.
//!
//! Each fingerprint has eight bytes and is appended when its INIT is answered. The file is truncated to its
//! newer half when it becomes too large. It is not synced: a crash of the whole machine may lose the newest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::limits::FINGERPRINTS;
use crate::session::InitFingerprint;

/// Bytes of a fingerprint.
const SIZE: usize = 8;

/// An open log.
pub struct ReplayLog {
    file: File,
    length: usize,
}

impl ReplayLog {
    /// Opens the file, and creates it and its directory. Returns its newest fingerprints.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<InitFingerprint>)> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let mut bytes = Vec::new();
        let most = (2 * FINGERPRINTS * SIZE) as u64;
        (&mut file).take(most).read_to_end(&mut bytes)?;
        let all: Vec<_> = parse(&bytes).collect();
        let newest = all[all.len().saturating_sub(FINGERPRINTS)..].to_vec();
        let mut replay_log = Self {
            file,
            length: all.len(),
        };
        replay_log.replace(&newest)?;
        Ok((replay_log, newest))
    }

    /// Appends a fingerprint.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, fingerprint: InitFingerprint) -> io::Result<()> {
        self.file.write_all(&fingerprint.0.to_le_bytes())?;
        self.length += 1;
        if self.length < 2 * FINGERPRINTS {
            return Ok(());
        }
        let mut bytes = Vec::new();
        io::Seek::rewind(&mut self.file)?;
        self.file.read_to_end(&mut bytes)?;
        let newest: Vec<_> = parse(&bytes).skip(self.length - FINGERPRINTS).collect();
        self.replace(&newest)
    }

    /// Replaces the contents.
    fn replace(&mut self, newest: &[InitFingerprint]) -> io::Result<()> {
        self.file.set_len(0)?;
        let bytes: Vec<u8> = newest
            .iter()
            .flat_map(|fingerprint| fingerprint.0.to_le_bytes())
            .collect();
        self.file.write_all(&bytes)?;
        self.length = newest.len();
        Ok(())
    }
}

/// Returns the fingerprints of an earlier run that as many of this run have not displaced.
pub(super) fn left(earlier: &[InitFingerprint], of_run: usize) -> Vec<u64> {
    let displaced = (earlier.len() + of_run).saturating_sub(FINGERPRINTS);
    let left = earlier.iter().skip(displaced);
    left.map(|fingerprint| fingerprint.0).collect()
}

fn parse(bytes: &[u8]) -> impl Iterator<Item = InitFingerprint> {
    bytes.chunks_exact(SIZE).map(|chunk| {
        let chunk = chunk.try_into().expect("chunks_exact gives eight bytes");
        InitFingerprint(u64::from_le_bytes(chunk))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_fingerprints_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/answered");
        let (mut replay_log, held) = ReplayLog::open(&path).unwrap();
        assert!(held.is_empty());
        let all = 2 * FINGERPRINTS as u64 + 5;
        for fingerprint in 0..all {
            replay_log.add(InitFingerprint(fingerprint)).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() <= (2 * FINGERPRINTS * SIZE) as u64);
        let (_, held) = ReplayLog::open(&path).unwrap();
        assert_eq!(held.len(), FINGERPRINTS);
        assert_eq!(held.last(), Some(&InitFingerprint(all - 1)));
        assert_eq!(left(&held, 0).len(), FINGERPRINTS);
        assert_eq!(left(&held, FINGERPRINTS - 1), [all - 1]);
        // An incomplete write at the end loses only itself.
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"abc")
            .unwrap();
        let (_, held) = ReplayLog::open(&path).unwrap();
        assert_eq!(held.last(), Some(&InitFingerprint(all - 1)));
    }
}
