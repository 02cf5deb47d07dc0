//! How far outputs are written, kept in a run's slots by the threads that write them.
//!
//! Invariant: before a byte is handed to the kernel its request's `begun` is above it, and `written` moves
//! above it only afterwards.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::slots::{self, Offsets};
use crate::control::exec::{Account, Output};
use crate::control::stdio::{Ledger, Part};

/// The slots of a run, as one of its streams writes them. The outputs of a request stand apart, so the two
/// streams do not disturb each other.
#[derive(Debug)]
pub struct SlotLedger {
    slots: Arc<File>,
    untracked: Arc<AtomicBool>,
    first: u32,
}

/// Where one output of one request stands while a write is under way.
struct Standing {
    slot: u32,
    output: Output,
    offsets: Offsets,
}

impl SlotLedger {
    pub(super) const fn new(slots: Arc<File>, untracked: Arc<AtomicBool>, first: u32) -> Self {
        Self {
            slots,
            untracked,
            first,
        }
    }

    /// Writes down where things stand if `done` of the parts' bytes are written and `begun` of them may be.
    fn note(&self, parts: &[Part<'_, Account>], done: usize, begun: usize) {
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
            let Some(charge) = part.tag else { continue };
            // A line with its host's name before it is written when all of it is.
            let exact = charge.bytes == part.of as u64;
            let share = |bytes: usize, whole: bool| match (exact, whole) {
                (true, _) => bytes as u64,
                (false, true) => charge.bytes,
                (false, false) => 0,
            };
            let written = charge.from + share(done, done == part.of);
            let reached = begun > part.start;
            let begun = charge.from + share(begun, begun > 0);
            let known = all
                .iter_mut()
                .rfind(|known| (known.slot, known.output) == (charge.slot, charge.output));
            if let Some(Standing { offsets, .. }) = known {
                // What follows was not reached unless the whole of what precedes was.
                if offsets.written == charge.from {
                    offsets.written = written;
                }
                if reached {
                    offsets.begun = begun;
                }
            } else {
                all.push(Standing {
                    slot: charge.slot,
                    output: charge.output,
                    offsets: Offsets { written, begun },
                });
            }
        }
        for standing in all {
            let slot = u64::from(standing.slot - self.first);
            // A full disk costs the next controller some bytes that it sees twice.
            let _ = slots::write_offsets(&self.slots, slot, standing.output, standing.offsets);
        }
    }
}

impl Ledger<Account> for SlotLedger {
    fn begin(&mut self, parts: &[Part<'_, Account>]) {
        self.note(parts, 0, usize::MAX);
    }

    fn done(&mut self, parts: &[Part<'_, Account>], written: usize) {
        self.note(parts, written, written);
    }
}
