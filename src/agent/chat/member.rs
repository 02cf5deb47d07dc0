//! A member of the chat: a name, and a queue of lines to send.
//!
//! Invariant: a member uses at most two bounds of memory, [`limits::CHAT_UNDERWAY`] (or one line beyond
//! [`CONSUMED_REPORT`]) in the session layer and [`limits::CHAT_WAITING`] here. Messages that a slow member
//! misses are counted and reported to it, and delay no other member.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::{Reply, RequestId, RoomName, to_line};
use crate::session::limits::CONSUMED_REPORT;
use crate::wire::Lane;

/// Importance of a line for a member that is slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    /// A message, or the news that a member joined or left: may be dropped.
    News,
    /// A private message: may be dropped, and goes to a session that continues this one if it was not read.
    Private,
    /// A receipt, or the answer to joining: never dropped, because the member would then believe
    /// something false.
    Vital,
}

/// Error: the member reads nothing, not even the receipts of its own messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooSlow;

/// Wishes of a controller that joins.
pub(super) struct Wishes<'a> {
    pub(super) name: Option<&'a str>,
    /// Room; `None` is the default room.
    pub(super) room: Option<RoomName>,
    /// True if it shows private messages.
    pub(super) whispers: bool,
    /// Id of the membership, over its sessions.
    pub(super) id: Option<RequestId>,
}

/// A member of the chat.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) call: CallRef,
    pub(super) key: PublicKey,
    pub(super) name: String,
    pub(super) room: Option<RoomName>,
    /// Id of the membership, over its sessions.
    pub(super) id: Option<RequestId>,
    /// True if it shows private messages.
    pub(super) whispers: bool,
    /// Bytes written to its control lane.
    written: u64,
    /// Bytes of them that it has consumed.
    consumed: u64,
    waiting: VecDeque<(Weight, Bytes)>,
    waiting_bytes: usize,
    missed: u64,
    /// Private messages that are written and not consumed, each with the offset behind it.
    private: VecDeque<(u64, Bytes)>,
}

impl Member {
    pub(super) fn new(call: CallRef, key: PublicKey, name: String, wishes: Wishes<'_>) -> Self {
        Self {
            call,
            key,
            name,
            room: wishes.room,
            id: wishes.id,
            whispers: wishes.whispers,
            written: 0,
            consumed: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            missed: 0,
            private: VecDeque::new(),
        }
    }

    /// Sends a line to this member, or queues it until there is credit.
    pub(super) fn send(
        &mut self,
        weight: Weight,
        reply: &Reply,
        outbox: &mut Outbox,
    ) -> Result<(), TooSlow> {
        let line = Bytes::from(to_line(reply));
        self.send_line(weight, line, outbox)
    }

    /// Sends a line that several members get, or queues it.
    pub(super) fn send_line(
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

    /// Counts messages that come before the next line and are not sent.
    pub(super) const fn miss(&mut self, messages: u64) {
        self.missed = self.missed.saturating_add(messages);
    }

    /// Notes that the member has consumed every byte below `consumed`.
    pub(super) fn on_consumed(&mut self, consumed: u64, outbox: &mut Outbox) {
        self.consumed = self.consumed.max(consumed.min(self.written));
        while self
            .private
            .front()
            .is_some_and(|(end, _)| *end <= self.consumed)
        {
            self.private.pop_front();
        }
        self.flush(outbox);
    }

    /// Bytes queued until there is credit.
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
                // The dropped messages came before the queued ones.
                let messages = std::mem::take(&mut self.missed);
                let note = to_line(&Reply::Missed { messages });
                self.write(note.into(), outbox);
                continue;
            }
            let (weight, line) = self.waiting.pop_front().expect("the queue has a front");
            self.waiting_bytes -= line.len();
            self.write(line.clone(), outbox);
            if weight == Weight::Private {
                self.private.push_back((self.written, line));
            }
        }
    }

    /// Passes what cannot be sent again otherwise on to the session that continues this one: private messages that were not
    /// read, and the number of messages that were dropped.
    pub(super) fn hand_over(self, to: &mut Self, outbox: &mut Outbox) {
        to.miss(self.missed);
        let is_private = |(weight, _): &(Weight, Bytes)| *weight == Weight::Private;
        let waiting = self.waiting.into_iter().filter(is_private);
        let underway = self.private.into_iter().map(|(_, line)| line);
        for line in underway.chain(waiting.map(|(_, line)| line)) {
            // Private messages can be dropped, so the member is not too slow for them.
            let _ = to.send_line(Weight::Private, line, outbox);
        }
    }

    /// Sends what waits, whether there is credit or not, and the end of the lane.
    pub(super) fn end(mut self, outbox: &mut Outbox) {
        if self.missed > 0 {
            let note = to_line(&Reply::Missed {
                messages: self.missed,
            });
            self.write(note.into(), outbox);
        }
        for (_, line) in std::mem::take(&mut self.waiting) {
            self.write(line, outbox);
        }
        outbox.write(self.call, Lane::Control, Bytes::new(), true);
    }

    fn write(&mut self, line: Bytes, outbox: &mut Outbox) {
        self.written += line.len() as u64;
        outbox.write(self.call, Lane::Control, line, false);
    }

    fn drop_oldest_news(&mut self) -> Result<(), TooSlow> {
        let news = self
            .waiting
            .iter()
            .position(|(weight, _)| *weight != Weight::Vital)
            .ok_or(TooSlow)?;
        let (_, line) = self
            .waiting
            .remove(news)
            .expect("`news` is an index of the queue");
        self.waiting_bytes -= line.len();
        self.missed += 1;
        Ok(())
    }
}
