//! Offsets up to which outputs are written, kept in a run's slots by the threads that write the outputs.
//!
//! Invariant: before a byte is handed to the kernel, `begun` of its output is above it; `written` moves above it
//! only afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::slots::{Offsets, SlotFile};
use crate::control::exec::{ByteCount, Output};
use crate::control::stdio::{Ledger, Part};

/// Slots of a run, for the thread of one standard stream. The two outputs of a request have separate fields, so
/// the two threads never write the same bytes.
#[derive(Debug)]
pub struct SlotLedger {
    slots: Arc<SlotFile>,
    untracked: Arc<AtomicBool>,
    first: u32,
}

/// Offsets of one output of one request while a write is in progress.
struct Standing {
    slot: u32,
    output: Output,
    offsets: Offsets,
}

impl SlotLedger {
    pub(super) const fn new(slots: Arc<SlotFile>, untracked: Arc<AtomicBool>, first: u32) -> Self {
        Self {
            slots,
            untracked,
            first,
        }
    }

    /// Records the offsets when `done` of the parts' bytes are written and `begun` of them may be.
    fn note(&self, parts: &[Part<'_, Option<ByteCount>>], done: usize, begun: usize) {
        if self.untracked.load(Ordering::Relaxed) {
            return;
        }
        let mut all: Vec<Standing> = Vec::new();
        let mut at = 0;
        for part in parts {
            let length = part.end - part.start;
            let done = part.start + done.saturating_sub(at).min(length);
            let begun = part.start + begun.saturating_sub(at).min(length);
            at += length;
            let Some(count) = part.tag else { continue };
            // A line behind its host's name counts as written only as a whole.
            let exact = count.bytes == part.of as u64;
            let share = |bytes: usize, whole: bool| match (exact, whole) {
                (true, _) => bytes as u64,
                (false, true) => count.bytes,
                (false, false) => 0,
            };
            let written = count.from + share(done, done == part.of);
            let reached = begun > part.start;
            let begun = count.from + share(begun, begun > 0);
            let known = all
                .iter_mut()
                .rfind(|known| (known.slot, known.output) == (count.slot, count.output));
            if let Some(Standing { offsets, .. }) = known {
                // A part is reached only if every part before it was written as a whole.
                if offsets.written == count.from {
                    offsets.written = written;
                }
                if reached {
                    offsets.begun = begun;
                }
            } else {
                all.push(Standing {
                    slot: count.slot,
                    output: count.output,
                    offsets: Offsets { written, begun },
                });
            }
        }
        for standing in all {
            let slot = u64::from(standing.slot - self.first);
            // If the disk is full, the next controller sees some bytes twice.
            let _ = self
                .slots
                .write_offsets(slot, standing.output, standing.offsets);
        }
    }
}

impl Ledger<Option<ByteCount>> for SlotLedger {
    fn begin(&mut self, parts: &[Part<'_, Option<ByteCount>>]) {
        self.note(parts, 0, usize::MAX);
    }

    fn done(&mut self, parts: &[Part<'_, Option<ByteCount>>], written: usize) {
        self.note(parts, written, written);
    }
}
