//! One member of the chat: a name, and lines on their way to it.
//!
//! Invariant: a member costs at most its two bounds, [`limits::CHAT_UNDERWAY`] (or one line beyond
//! [`CONSUMED_REPORT`]) in the session machine and [`limits::CHAT_WAITING`] here; what a slow one misses
//! is counted and told, and stalls nobody.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Reply, to_line};
use crate::session::limits::CONSUMED_REPORT;
use crate::wire::Lane;

/// Whether a line may be dropped when the member is slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    /// A message, or news of one who came or left.
    News,
    /// A receipt, or the answer to joining: without it the member would believe something false.
    Vital,
}

/// The member reads nothing, not even receipts for what it goes on saying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooSlow;

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) call: CallRef,
    pub(super) name: String,
    /// Bytes written to its control lane.
    written: u64,
    /// Bytes of them that it has disposed of.
    consumed: u64,
    waiting: VecDeque<(Weight, Bytes)>,
    waiting_bytes: usize,
    missed: u64,
}

impl Member {
    pub(super) const fn new(call: CallRef, name: String) -> Self {
        Self {
            call,
            name,
            written: 0,
            consumed: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            missed: 0,
        }
    }

    /// A line for this member: sent, or kept until there is credit.
    pub(super) fn tell(
        &mut self,
        weight: Weight,
        reply: &Reply,
        outbox: &mut Outbox,
    ) -> Result<(), TooSlow> {
        let line = Bytes::from(to_line(reply));
        self.tell_line(weight, line, outbox)
    }

    /// The same for a line that several members get.
    pub(super) fn tell_line(
        &mut self,
        weight: Weight,
        line: Bytes,
        outbox: &mut Outbox,
    ) -> Result<(), TooSlow> {
        self.waiting_bytes += line.len();
        self.waiting.push_back((weight, line));
        self.flush(outbox);
        while self.waiting_bytes > limits::CHAT_WAITING {
            self.drop_oldest_news()?;
        }
        Ok(())
    }

    /// It has disposed of every byte below `consumed`.
    pub(super) fn on_consumed(&mut self, consumed: u64, outbox: &mut Outbox) {
        self.consumed = self.consumed.max(consumed.min(self.written));
        self.flush(outbox);
    }

    /// Bytes kept here until there is credit.
    #[cfg(test)]
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn flush(&mut self, outbox: &mut Outbox) {
        while let Some((_, line)) = self.waiting.front() {
            let underway = self.written - self.consumed;
            // A line that does not fit waits only while a report of consumption is sure to come.
            if underway >= CONSUMED_REPORT && underway + line.len() as u64 > limits::CHAT_UNDERWAY {
                return;
            }
            if self.missed > 0 {
                // What was dropped stood before what is left.
                let messages = std::mem::take(&mut self.missed);
                let note = to_line(&Reply::Missed { messages });
                self.send(note.into(), outbox);
                continue;
            }
            let (_, line) = self.waiting.pop_front().expect("there is a front");
            self.waiting_bytes -= line.len();
            self.send(line, outbox);
        }
    }

    fn send(&mut self, line: Bytes, outbox: &mut Outbox) {
        self.written += line.len() as u64;
        outbox.write(self.call, Lane::Control, line, false);
    }

    fn drop_oldest_news(&mut self) -> Result<(), TooSlow> {
        let news = self
            .waiting
            .iter()
            .position(|(weight, _)| *weight == Weight::News)
            .ok_or(TooSlow)?;
        let (_, line) = self.waiting.remove(news).expect("it was just found");
        self.waiting_bytes -= line.len();
        self.missed += 1;
        Ok(())
    }
}
