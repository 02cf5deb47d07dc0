//! The file of slots: for each request of a run, what became of it and how far its output was written.
//!
//! A slot has 64 bytes, so that none lies across a page and one write of a part of it is seen whole or not
//! at all. Numbers are little-endian:
//!
//! ```text
//! 0 state │ 8 stdout written │ 16 stdout begun │ 24 stderr written │ 32 stderr begun │ 40 unused
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::control::exec::Output;

/// Bytes of a slot.
pub(super) const SLOT: u64 = 64;

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its result is outstanding.
    Open,
    /// Its result was collected, or nobody has it any more.
    Settled,
    /// It never ran, and has left no trace.
    Void,
}

/// How far an output was written here.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Offsets {
    /// Every byte below was written, surely.
    pub written: u64,
    /// Every byte from here on was not.
    pub begun: u64,
}

impl Offsets {
    /// Nothing is known: the agent decides where an output begins.
    pub const UNKNOWN: Self = Self::at(u64::MAX);

    /// Every byte below this one, and no other.
    #[must_use]
    pub const fn at(offset: u64) -> Self {
        Self {
            written: offset,
            begun: offset,
        }
    }

    /// How many bytes may have been written or not.
    #[must_use]
    pub const fn in_doubt(self) -> u64 {
        self.begun.saturating_sub(self.written)
    }
}

impl State {
    const fn number(self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Settled => 1,
            Self::Void => 2,
        }
    }

    const fn of(number: u64) -> Self {
        match number {
            0 => Self::Open,
            2 => Self::Void,
            _ => Self::Settled,
        }
    }
}

/// Sets a slot's state.
pub(super) fn write_state(file: &File, slot: u64, state: State) -> io::Result<()> {
    file.write_all_at(&state.number().to_le_bytes(), slot * SLOT)
}

/// Sets how far one output was written.
pub(super) fn write_offsets(
    file: &File,
    slot: u64,
    output: Output,
    offsets: Offsets,
) -> io::Result<()> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&offsets.written.to_le_bytes());
    bytes[8..].copy_from_slice(&offsets.begun.to_le_bytes());
    file.write_all_at(&bytes, slot * SLOT + 8 + 16 * output as u64)
}

/// A slot. What a file does not hold was never written, so it is zero.
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
    (State::of(number(0)), [offsets(1), offsets(3)])
}
