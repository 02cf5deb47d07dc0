//! Both sides of copies in temporary directories, connected by bytes in chunks of any size.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

mod content;
mod hostile;
mod places;
mod resume;
mod tree;

/// Directory with `from`, `to` and a sibling that nothing may touch.
struct Area(TempDir);

impl Area {
    fn new() -> Self {
        let area = Self(tempfile::tempdir().unwrap());
        for name in ["from", "to", "sibling"] {
            fs::create_dir(area.at(name)).unwrap();
        }
        fs::write(area.at("sibling/kept"), "kept").unwrap();
        area
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap();
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap()
    }

    fn sender(&self, paths: &[&str]) -> Sender {
        let sources = Sources {
            paths: paths.iter().map(|path| self.at(path)).collect(),
            scope: Scope::Everywhere,
            recursive: true,
        };
        Sender::new(sources, Rc::new(Library::new(4)))
    }

    fn receiver(&self, path: &str, preserve: bool) -> Receiver {
        self.try_receiver(path, preserve).unwrap()
    }

    fn try_receiver(&self, path: &str, preserve: bool) -> Result<Receiver, OpenError> {
        let path = &self.at(path);
        let destination = Destination {
            scope: &Scope::Everywhere,
            path,
            is_directory: false,
        };
        Receiver::open(&destination, preserve)
    }

    /// Names of the items in a directory.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Asserts that nothing outside the destination has changed.
    fn assert_untouched(&self) {
        assert_eq!(self.names("."), ["from", "sibling", "to"]);
        assert_eq!(self.names("sibling"), ["kept"]);
        assert_eq!(self.read("sibling/kept"), b"kept");
    }
}

/// A copy in progress.
struct Copy {
    sender: Sender,
    receiver: Receiver,
    /// Sizes of chunks, used in turn.
    cuts: Vec<usize>,
    turn: usize,
    /// Bytes that the sender has sent.
    sent: u64,
}

impl Copy {
    fn new(sender: Sender, receiver: Receiver) -> Self {
        Self {
            sender,
            receiver,
            cuts: vec![usize::MAX],
            turn: 0,
            sent: 0,
        }
    }

    /// Passes the next bytes of the sender on, and the replies back. Returns false if nothing is left.
    fn step(&mut self) -> bool {
        let mut bytes = loop {
            match self.sender.pull() {
                Pulled::Bytes(bytes) => break bytes,
                Pulled::Busy => {}
                Pulled::Nothing => return false,
            }
        };
        self.sent += bytes.len() as u64;
        while !bytes.is_empty() {
            let cut = self.cuts[self.turn % self.cuts.len()];
            self.turn += 1;
            let chunk: Bytes = bytes.split_to(cut.clamp(1, bytes.len()));
            push(&mut self.receiver, &chunk).unwrap();
            let replies = self.receiver.take_replies();
            for piece in replies.chunks(cut.max(1)) {
                self.sender.push(piece).unwrap();
            }
        }
        true
    }

    fn run(&mut self) {
        while self.step() {}
        assert!(self.sender.is_done() && self.receiver.is_done());
    }

    /// Reports of both sides, as words.
    fn reports(&mut self) -> Vec<String> {
        let words = |report: Report| {
            let path = String::from_utf8_lossy(&report.path).into_owned();
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            format!("{:?} {name}: {}", report.side, report.fault)
        };
        let sender = std::iter::from_fn(|| self.sender.next_report()).map(words);
        let mut reports: Vec<_> = sender.collect();
        reports.extend(std::iter::from_fn(|| self.receiver.next_report()).map(words));
        reports
    }
}

/// Passes bytes of a sender in, in as many calls as they need.
fn push(receiver: &mut Receiver, mut bytes: &[u8]) -> Result<(), Violation> {
    while !receiver.push(&mut bytes)? {}
    Ok(())
}

/// Content without a pattern that repeats.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}
