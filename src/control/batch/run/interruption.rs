//! Ends of a batch before its input ends: signals, an output without a reader, an input that cannot be read.

use std::time::{Duration, Instant};

use super::Batch;
use crate::control::exec::summary::names;
use crate::control::exec::{Interruption, Report};
use crate::control::journal::State;
use crate::control::limits;
use crate::message::Fate;

impl Batch<'_> {
    /// Handles a signal. Returns true if the batch has to end at once.
    pub(super) fn on_signal(&mut self, signal: i32) -> bool {
        let is_first = !matches!(self.finish.interruption, Some(Interruption::Signal(_)));
        self.finish.interruption = Some(Interruption::Signal(signal));
        if is_first {
            self.say("no further line is read; canceling; press Ctrl-C again to leave at once");
            self.cancel();
        } else {
            self.leave();
        }
        !is_first
    }

    /// Begins no further request, and cancels those in progress.
    pub(super) fn cancel(&mut self) {
        self.intake.stop();
        for (slot, running) in &mut self.running {
            running.job.cancel();
            self.active.insert(*slot);
        }
    }

    /// Ends the batch at once, with the records of the requests that are left, as far as somebody reads them.
    fn leave(&mut self) {
        let mut left = Vec::new();
        for (slot, running) in std::mem::take(&mut self.running) {
            let mut report = Report::new(running.pending.member.id, None);
            report.accepted = running.job.was_accepted();
            let fate = if running.job.may_be_there() {
                let label = running.pending.member.target.label().to_owned();
                left.push((running.pending.rank, label));
                Fate::Left
            } else {
                self.settle(running.entry, State::Void);
                Fate::Skipped
            };
            self.record(
                &running.pending,
                fate,
                &report,
                Some(slot),
                running.began.elapsed(),
            );
        }
        self.skip_some();
        // Those without a record, because nobody reads it, are counted.
        while let Some(pending) = self.intake.skip() {
            self.finish
                .tally
                .add(Fate::Skipped, pending.rank, pending.member.target.label());
        }
        self.drain(limits::LEAVE);
        if !left.is_empty() {
            left.sort_unstable();
            let labels: Vec<String> = left.into_iter().map(|(_, label)| label).collect();
            self.say_now(&format!(
                "left, and may still run; \"udpctl jobs --mine\" lists them: {}",
                names(&labels)
            ));
        }
    }

    /// Writes what is queued, for a limited time.
    fn drain(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        for stream in &mut self.streams {
            stream.drain(deadline);
        }
    }
}
