//! File of slots: state and output offsets of each request of a run. A file that does not exist, and what is beyond the
//! end of one, counts as zeros: requests that are open and have no output. So it is created only with the first value
//! that is not known when the request is sent, and the first datagram does not wait for it.
//!
//! A slot has 64 bytes, so that none lies across a page and a write to a part of it is seen as a whole or not
//! at all. Numbers are little-endian:
//!
//! ```text
//! 0 state │ 8 stdout written │ 16 stdout begun │ 24 stderr written │ 32 stderr begun │ 40 unused
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::control::exec::Output;
use crate::message::{Held, Outcome, Ran};

/// Bytes of a slot.
pub(super) const SLOT: u64 = 64;

/// State of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The agent may have a result that was not collected.
    Open,
    /// The result was collected, or the agent no longer has it.
    Settled,
    /// The command never ran, and the request was forgotten.
    Void,
    /// No answer came. It is open, and most likely never arrived.
    Unanswered,
}

/// Offsets up to which this user's `udpctl` has written an output.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Offsets {
    /// Offset below which every byte was written.
    pub written: u64,
    /// Offset from which on no byte was written.
    pub begun: u64,
}

impl Offsets {
    /// Offsets that are not known: the agent decides where an output begins.
    pub const UNKNOWN: Self = Self::at(u64::MAX);

    /// Returns the offsets of an output that was written exactly up to `offset`.
    #[must_use]
    pub const fn at(offset: u64) -> Self {
        Self {
            written: offset,
            begun: offset,
        }
    }

    /// Returns the number of bytes that may or may not have been written.
    #[must_use]
    pub const fn in_doubt(self) -> u64 {
        self.begun.saturating_sub(self.written)
    }
}

impl State {
    /// Returns the state of a request that has come to an outcome.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        if outcome == (Outcome::Unreachable {}) {
            return Self::Unanswered;
        }
        let row = outcome.row();
        match row.held {
            Held::Unknown => Self::Open,
            Held::Result | Held::Nothing => match row.ran {
                Ran::Yes | Ran::Maybe => Self::Settled,
                Ran::No => Self::Void,
            },
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Settled => 1,
            Self::Void => 2,
            Self::Unanswered => 3,
        }
    }

    /// Returns true if the agent may have a result that was not collected.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Unanswered => true,
            Self::Settled | Self::Void => false,
        }
    }

    const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Open,
            2 => Self::Void,
            3 => Self::Unanswered,
            _ => Self::Settled,
        }
    }
}

/// File of slots of a run in progress. The threads of both outputs write to it.
#[derive(Debug)]
pub(super) struct SlotFile {
    path: PathBuf,
    /// `None` if it could not be created.
    file: OnceLock<Option<File>>,
}

impl SlotFile {
    /// Returns the file of this path, which is created with the first write.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: OnceLock::new(),
        }
    }

    fn file(&self) -> io::Result<&File> {
        let created = self.file.get_or_init(|| new_file(&self.path).ok());
        created.as_ref().ok_or(io::ErrorKind::NotFound.into())
    }

    /// Sets a slot's state.
    pub(super) fn write_state(&self, slot: u64, state: State) -> io::Result<()> {
        write_state(self.file()?, slot, state)
    }

    /// Sets the offsets of one output.
    pub(super) fn write_offsets(
        &self,
        slot: u64,
        output: Output,
        offsets: Offsets,
    ) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&offsets.written.to_le_bytes());
        bytes[8..].copy_from_slice(&offsets.begun.to_le_bytes());
        let at = slot * SLOT + 8 + 16 * output as u64;
        self.file()?.write_all_at(&bytes, at)
    }
}

/// Creates a file that only its owner may read.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Sets a slot's state.
pub(super) fn write_state(file: &File, slot: u64, state: State) -> io::Result<()> {
    file.write_all_at(&state.number().to_le_bytes(), slot * SLOT)
}

/// Reads a slot. Bytes beyond the end of the file were never written and count as zero.
pub(super) fn parse(file: &[u8], slot: u64) -> (State, [Offsets; 2]) {
    let number = |index: u64| {
        let at = usize::try_from(slot * SLOT + 8 * index).ok()?;
        let bytes = file.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let number = |index| number(index).unwrap_or(0);
    let offsets = |index| Offsets {
        written: number(index),
        begun: number(index + 1),
    };
    (State::from_number(number(0)), [offsets(1), offsets(3)])
}
