//! ReplayLog of the INITs that were answered, kept over a restart, so that a captured one is never answered
//! again.
//!
//! A file of eight bytes each, appended to as they come, cut to its newer half when it grows too large.
//! Not a promise against a crash of the whole machine, after which sessions are gone anyway.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::limits::FINGERPRINTS;

/// Bytes of a fingerprint.
const SIZE: usize = 8;

/// The file.
pub struct ReplayLog {
    file: File,
    length: usize,
}

impl ReplayLog {
    /// Opens the file, creating it and its folder; returns the newest of what it held.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<u64>)> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
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
        let chunks = bytes.chunks_exact(SIZE);
        let all: Vec<u64> = chunks
            .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("chunks of eight")))
            .collect();
        let newest = all[all.len().saturating_sub(FINGERPRINTS)..].to_vec();
        let mut replay_log = Self {
            file,
            length: all.len(),
        };
        replay_log.cut(&newest)?;
        Ok((replay_log, newest))
    }

    /// Remembers one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, fingerprint: u64) -> io::Result<()> {
        self.file.write_all(&fingerprint.to_le_bytes())?;
        self.length += 1;
        if self.length < 2 * FINGERPRINTS {
            return Ok(());
        }
        let mut bytes = Vec::new();
        io::Seek::rewind(&mut self.file)?;
        self.file.read_to_end(&mut bytes)?;
        let chunks = bytes.chunks_exact(SIZE);
        let all = chunks.map(|chunk| u64::from_le_bytes(chunk.try_into().expect("eight")));
        let newest: Vec<u64> = all.skip(self.length - FINGERPRINTS).collect();
        self.cut(&newest)
    }

    /// Leaves these only.
    fn cut(&mut self, newest: &[u64]) -> io::Result<()> {
        self.file.set_len(0)?;
        let bytes: Vec<u8> = newest
            .iter()
            .flat_map(|fingerprint| fingerprint.to_le_bytes())
            .collect();
        self.file.write_all(&bytes)?;
        self.length = newest.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_prints_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/prints");
        let (mut replay_log, held) = ReplayLog::open(&path).unwrap();
        assert!(held.is_empty());
        let all = 2 * FINGERPRINTS as u64 + 5;
        for fingerprint in 0..all {
            replay_log.add(fingerprint).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() <= (2 * FINGERPRINTS * SIZE) as u64);
        let (_, held) = ReplayLog::open(&path).unwrap();
        assert_eq!(held.len(), FINGERPRINTS);
        assert_eq!(held.last(), Some(&(all - 1)));
        // A torn write at the end costs itself only.
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"abc")
            .unwrap();
        let (_, held) = ReplayLog::open(&path).unwrap();
        assert_eq!(held.last(), Some(&(all - 1)));
    }
}
