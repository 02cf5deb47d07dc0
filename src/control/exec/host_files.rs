//! Outputs of hosts in files, one for each host and output.
//!
//! Not the outputs on the standard streams. Invariants: a file is named after its host and never outside its directory; at
//! most [`limits::HOST_FILES`] are open; a host that has ended without a byte of its outputs in a file is known.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Output;
use crate::control::limits;

/// Directory for an output of all hosts.
#[derive(Clone, Debug)]
pub struct HostDirectory {
    /// Output that goes there.
    pub output: Output,
    /// The directory.
    pub path: PathBuf,
    /// End of the file names, behind the name of the host.
    pub suffix: &'static str,
    /// True if the output is not shown besides.
    pub is_instead: bool,
}

/// Error of a file.
#[derive(Debug)]
pub struct HostFileError {
    /// The file.
    pub path: PathBuf,
    /// Error of the system.
    pub error: io::Error,
}

/// Files of the outputs of all hosts.
#[derive(Debug, Default)]
pub struct HostFiles {
    directories: Vec<HostDirectory>,
    open: HashMap<PathBuf, File>,
    /// Files that this run has created. They are opened again to append.
    created: HashSet<PathBuf>,
    /// Numbers of bytes that were written of both outputs, by hosts in progress.
    written: HashMap<String, [u64; 2]>,
    /// Hosts of which a byte is not in every file that it belongs to.
    incomplete: BTreeSet<String>,
}

impl HostFiles {
    /// Creates the directories where they are missing. An output that goes to one of them twice is written there once, and
    /// one that would have the file of the other gets the suffix `.stderr`.
    ///
    /// # Errors
    /// [`HostFileError`] with the directory.
    pub fn create(directories: Vec<HostDirectory>) -> Result<Self, HostFileError> {
        let mut files = Self::default();
        for mut directory in directories {
            let created = fs::create_dir_all(&directory.path).map_err(|error| match error.kind() {
                // What exists is something else.
                io::ErrorKind::AlreadyExists => rustix::io::Errno::NOTDIR.into(),
                _ => error,
            });
            let path = created.and_then(|()| fs::canonicalize(&directory.path));
            directory.path = path.map_err(|error| HostFileError {
                path: directory.path.clone(),
                error,
            })?;
            let is_taken = |other: &HostDirectory| {
                other.path == directory.path
                    && other.suffix == directory.suffix
                    && other.output != directory.output
            };
            if files.directories.iter().any(is_taken) {
                directory.suffix = ".stderr";
            }
            let is_same = |other: &&mut HostDirectory| {
                other.path == directory.path
                    && other.suffix == directory.suffix
                    && other.output == directory.output
            };
            match files.directories.iter_mut().find(is_same) {
                Some(other) => other.is_instead |= directory.is_instead,
                None => files.directories.push(directory),
            }
        }
        Ok(files)
    }

    /// Writes the next bytes of an output to its files. Returns true if it is not to be shown besides.
    ///
    /// # Errors
    /// [`HostFileError`] with the first file that cannot be written.
    pub fn write(
        &mut self,
        host: &str,
        output: Output,
        data: &[u8],
    ) -> Result<bool, HostFileError> {
        let mut is_instead = false;
        for index in 0..self.directories.len() {
            let directory = &self.directories[index];
            if directory.output != output {
                continue;
            }
            is_instead |= directory.is_instead;
            let path = directory.path.join(host_file_name(host, directory.suffix));
            let written = self.file(&path).and_then(|mut file| file.write_all(data));
            if let Err(error) = written {
                self.incomplete.insert(host.to_owned());
                return Err(HostFileError { path, error });
            }
        }
        if !self.directories.is_empty() {
            let written = self.written.entry(host.to_owned()).or_default();
            written[output as usize] += data.len() as u64;
        }
        Ok(is_instead)
    }

    /// Creates the files of outputs that had no byte, and closes all files of the host. `lengths` are the numbers of bytes
    /// that it has sent or would have, by output.
    ///
    /// # Errors
    /// As [`HostFiles::write`].
    pub fn end(&mut self, host: &str, lengths: [u64; 2]) -> Result<(), HostFileError> {
        let written = self.written.remove(host).unwrap_or_default();
        let is_short = |directory: &HostDirectory| {
            let output = directory.output as usize;
            written[output] < lengths[output]
        };
        if self.directories.iter().any(is_short) {
            self.incomplete.insert(host.to_owned());
        }
        for index in 0..self.directories.len() {
            let directory = &self.directories[index];
            let path = directory.path.join(host_file_name(host, directory.suffix));
            if !self.created.contains(&path) {
                let created = self.file(&path).map(|_| ());
                if let Err(error) = created {
                    self.incomplete.insert(host.to_owned());
                    return Err(HostFileError { path, error });
                }
            }
            self.open.remove(&path);
        }
        Ok(())
    }

    /// Returns the hosts of which a byte is not in every file that it belongs to, or a file is missing.
    #[must_use]
    pub fn into_incomplete(self) -> Vec<String> {
        self.incomplete.into_iter().collect()
    }

    fn file(&mut self, path: &Path) -> io::Result<&File> {
        if !self.open.contains_key(path) {
            if self.open.len() >= limits::HOST_FILES {
                self.open.clear();
            }
            let is_new = !self.created.contains(path);
            let file = OpenOptions::new()
                .create(true)
                .append(!is_new)
                .write(true)
                .truncate(is_new)
                .open(path)?;
            self.created.insert(path.to_owned());
            self.open.insert(path.to_owned(), file);
        }
        Ok(&self.open[path])
    }
}

/// Returns the name of the file or directory of a host: its name, in which a character that a path may not have is `_`.
#[must_use]
pub fn host_file_name(host: &str, suffix: &str) -> String {
    let mut name = host.replace(['/', '\0'], "_");
    if name.starts_with('.') {
        name.insert(0, '_');
    }
    name + suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &Path, output: Output, suffix: &'static str) -> HostDirectory {
        HostDirectory {
            output,
            path: path.to_owned(),
            suffix,
            is_instead: suffix.is_empty(),
        }
    }

    #[test]
    fn each_output_of_each_host_has_a_file_that_replaces_that_of_an_earlier_run() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out/of/run");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("web1:7000"), "from an earlier run").unwrap();
        let directories = vec![
            directory(&path, Output::Stdout, ""),
            directory(&path, Output::Stderr, ".stderr"),
        ];
        let mut files = HostFiles::create(directories).unwrap();
        // More hosts at a time than files that may be open.
        for round in ["one\n", "two\n"] {
            for host in 0..limits::HOST_FILES + 2 {
                let host = format!("web{host}:7000");
                assert!(
                    files
                        .write(&host, Output::Stdout, round.as_bytes())
                        .unwrap()
                );
                assert!(files.open.len() <= limits::HOST_FILES);
            }
        }
        assert!(!files.write("web1:7000", Output::Stderr, b"err").unwrap());
        files.end("web1:7000", [8, 3]).unwrap();
        files.end("web0:7000", [8, 0]).unwrap();
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(read("web1:7000"), "one\ntwo\n");
        assert_eq!(read("web1:7000.stderr"), "err");
        assert_eq!(read("web0:7000.stderr"), "", "it had no byte");
        assert_eq!(files.into_incomplete(), [""; 0]);
    }

    #[test]
    fn one_directory_for_everything_has_each_output_once() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        let directories = vec![
            directory(path, Output::Stdout, ""),
            directory(&path.join("."), Output::Stderr, ""),
            directory(path, Output::Stdout, ".stdout"),
            directory(path, Output::Stderr, ".stderr"),
        ];
        let mut files = HostFiles::create(directories).unwrap();
        files.write("h", Output::Stdout, b"out\n").unwrap();
        files.write("h", Output::Stderr, b"err\n").unwrap();
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(
            [read("h"), read("h.stdout"), read("h.stderr")],
            ["out\n", "out\n", "err\n"]
        );
    }

    #[test]
    fn a_name_stays_inside_its_directory() {
        for (host, name) in [
            ("web1", "web1"),
            ("[::1]:7000", "[::1]:7000"),
            ("..", "_.."),
            ("../x", "_.._x"),
            ("a/b", "a_b"),
        ] {
            assert_eq!(host_file_name(host, ""), name);
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let directories = vec![directory(Path::new("/proc"), Output::Stdout, "")];
        let mut files = HostFiles::create(directories).unwrap();
        let error = files.write("web1", Output::Stdout, b"x").unwrap_err();
        assert_eq!(error.path, Path::new("/proc/web1"));
        let error = files.end("web2", [0, 0]).unwrap_err();
        assert_eq!(error.path, Path::new("/proc/web2"));
        assert_eq!(files.into_incomplete(), ["web1", "web2"]);
    }

    #[test]
    fn a_host_whose_last_bytes_were_not_written_is_known_if_they_belong_to_a_file() {
        let parent = tempfile::tempdir().unwrap();
        let directories = vec![directory(parent.path(), Output::Stdout, "")];
        let mut files = HostFiles::create(directories).unwrap();
        for (host, lengths) in [("web1", [4, 9]), ("web2", [5, 0]), ("web3", [0, 1])] {
            if host != "web3" {
                files.write(host, Output::Stdout, b"out\n").unwrap();
            }
            files.end(host, lengths).unwrap();
        }
        assert_eq!(files.into_incomplete(), ["web2"]);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_not_a_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        fs::write(&path, "").unwrap();
        let created = HostFiles::create(vec![directory(&path, Output::Stdout, "")]);
        let error = created.err().map(|failed| failed.error.kind());
        assert_eq!(error, Some(io::ErrorKind::NotADirectory));
    }
}
