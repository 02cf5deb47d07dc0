//! Sources and destinations of the copies.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Case;
use crate::common::process::output;

/// Length of the large file.
const LARGE: u64 = 1 << 30;

/// Length of the file for many hosts.
const MIDDLE: u64 = 10 << 20;

/// Directories with small files, and files in each.
const DIRECTORIES: usize = 100;

/// Lengths of the small files are spread evenly below it.
const SMALL: u64 = 4096;

/// The directory of all of them.
pub struct Files(TempDir);

impl Files {
    /// Writes the sources.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let files = Self(made.expect("a temporary directory can be created"));
        let mut noise = Noise(1);
        noise.write(&files.source(Case::FileUp), LARGE);
        noise.write(&files.source(Case::Hosts), MIDDLE);
        for directory in 0..DIRECTORIES {
            let directory = files.source(Case::FilesUp).join(format!("d{directory}"));
            fs::create_dir_all(&directory).expect("there is room");
            for file in 0..DIRECTORIES {
                let length = noise.next() % SMALL;
                noise.write(&directory.join(format!("f{file}")), length);
            }
        }
        files
    }

    /// Returns the path of a case's source.
    pub fn source(&self, case: Case) -> PathBuf {
        self.0.path().join(match case {
            Case::FileUp | Case::FileDown => "large",
            Case::FilesUp | Case::FilesDown => "small",
            Case::Hosts => "middle",
        })
    }

    /// Returns the path of the destination, where there is nothing.
    pub fn destination(&self) -> PathBuf {
        let path = self.0.path().join("copy");
        // Neither is there in the first run.
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
        path
    }

    /// Compares a copy to its source.
    pub fn compare(source: &Path, copy: &Path) {
        let mut diff = Command::new("diff");
        diff.args(["-r"]).args([source, copy]);
        output(diff);
    }
}

/// Bytes without a pattern: xorshift64 of Marsaglia.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Writes a file of a length.
    fn write(&mut self, path: &Path, length: u64) {
        let mut file = File::create(path).expect("there is room");
        let mut left = length;
        while left > 0 {
            let words: Vec<u8> = (0..8192).flat_map(|_| self.next().to_le_bytes()).collect();
            let part = usize::try_from(left).map_or(words.len(), |left| left.min(words.len()));
            file.write_all(&words[..part]).expect("there is room");
            left -= part as u64;
        }
    }
}
