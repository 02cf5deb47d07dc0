//! Sender of audit records.
//!
//! Not the decision what to do without a record: [`Receipt`] names a record, and [`AuditSender::poll`] says later
//! what became of it. Invariant: every receipt is answered, also after the recorder has ended. Nothing blocks,
//! except [`AuditSender::flush`], for a bounded time.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::frame::Wanted;
use super::sender::Sender;
use crate::agent::audit::{Demand, Event, Record, Unwritten};

/// Name of a record whose writing is reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Receipt(u64);

/// Sender of audit records.
#[derive(Debug)]
pub struct AuditSender {
    sender: Sender,
    demand: Demand,
    /// Records that the recorder has not acknowledged.
    pending: BTreeSet<u64>,
    answered: VecDeque<(Receipt, Result<(), Unwritten>)>,
}

impl AuditSender {
    /// Returns a sender of records on the recorder's first socket. `next` is the number of the first record: 1, or
    /// [`next`](Self::next) of the sender that used the socket before.
    #[must_use]
    pub fn new(socket: OwnedFd, demand: Demand, next: u64) -> Self {
        let notice = |records| Record::of_agent(Event::Dropped { records }).to_line_now();
        Self {
            sender: Sender::new(socket, next, Box::new(notice)),
            demand,
            pending: BTreeSet::new(),
            answered: VecDeque::new(),
        }
    }

    /// Records an event. If it cannot be written, that is counted.
    pub fn send(&mut self, record: &Record<'_>) {
        self.sender.push(record.to_line_now(), Wanted::Nothing);
    }

    /// Records an event whose line was made elsewhere.
    pub fn send_line(&mut self, line: Vec<u8>) {
        self.sender.push(line, Wanted::Nothing);
    }

    /// Records an event before it happens. [`poll`](Self::poll) returns the result: at once if no record is
    /// required, otherwise when the recorder has written it. The caller sets a deadline.
    pub fn put(&mut self, record: &Record<'_>) -> Receipt {
        let wanted = match self.demand {
            Demand::Wanted => Wanted::Nothing,
            Demand::Required => Wanted::Answer,
        };
        let next = Receipt(self.sender.next());
        let number = self.sender.push(record.to_line_now(), wanted);
        match (self.demand, number) {
            (Demand::Wanted, number) => {
                let receipt = number.map_or(next, Receipt);
                self.answered.push_back((receipt, Ok(())));
                receipt
            }
            (Demand::Required, None) => {
                self.answered.push_back((next, Err(Unwritten)));
                next
            }
            (Demand::Required, Some(number)) => {
                self.pending.insert(number);
                Receipt(number)
            }
        }
    }

    /// Returns the next result of a [`put`](Self::put). Call when the socket is readable, and after each `put`.
    pub fn poll(&mut self) -> Option<(Receipt, Result<(), Unwritten>)> {
        if let Some(answered) = self.answered.pop_front() {
            return Some(answered);
        }
        if self.pending.is_empty() {
            return None;
        }
        while let Some(answer) = self.sender.receive() {
            if self.pending.remove(&answer.number) {
                let result = if answer.written {
                    Ok(())
                } else {
                    Err(Unwritten)
                };
                return Some((Receipt(answer.number), result));
            }
        }
        if self.sender.is_closed() {
            return Some((Receipt(self.pending.pop_first()?), Err(Unwritten)));
        }
        None
    }

    /// Sends queued records as far as the socket has room. Call when the socket is writable.
    pub fn drain(&mut self) {
        self.sender.drain();
    }

    /// True if nothing waits to be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Returns the records that the recorder has not taken completely.
    #[must_use]
    pub fn unsent(&self) -> Vec<Vec<u8>> {
        self.sender.unsent()
    }

    /// True if the recorder has ended.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Number of records that the recorder has never got, since the start.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.sender.lost()
    }

    /// Number of the first record of which nothing is sent.
    #[must_use]
    pub fn first_unsent(&self) -> u64 {
        self.sender.first_unsent()
    }

    /// Number of the next record.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.sender.next()
    }

    /// Sends what waits, as far as the recorder accepts it within `time`.
    pub fn flush(&mut self, time: Duration) {
        self.sender.flush(time);
    }

    /// Lets the recorder see the end of the records. No record follows.
    pub fn end(&mut self) {
        self.sender.end();
    }
}

impl AsFd for AuditSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sender.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, send};

    use super::*;
    use crate::agent::recorder::frame::Answer;
    use crate::agent::recorder::socket::pair;

    fn record() -> Record<'static> {
        Record::of_agent(Event::Started { pid: 1 })
    }

    fn sender(demand: Demand) -> (AuditSender, OwnedFd) {
        let (ours, theirs) = pair().unwrap();
        (AuditSender::new(ours, demand, 1), theirs)
    }

    fn answer(socket: &OwnedFd, number: u64, written: bool) {
        let reason = String::new();
        let answer = Answer {
            number,
            written,
            reason,
        };
        send(socket, &answer.to_packet(), SendFlags::empty()).unwrap();
    }

    #[test]
    fn a_required_record_is_answered_when_the_recorder_has_written_it_or_cannot() {
        let (mut sender, socket) = sender(Demand::Required);
        let [one, two] = [sender.put(&record()), sender.put(&record())];
        assert_eq!(sender.poll(), None);
        // Numbers that nobody asked about, twice or in any order, are harmless.
        for (number, written) in [(2, false), (2, true), (99, true), (1, true)] {
            answer(&socket, number, written);
        }
        assert_eq!(sender.poll(), Some((two, Err(Unwritten))));
        assert_eq!(sender.poll(), Some((one, Ok(()))));
        assert_eq!(sender.poll(), None);
    }

    #[test]
    fn a_record_that_is_not_required_is_answered_at_once() {
        let (mut sender, socket) = sender(Demand::Wanted);
        let receipt = sender.put(&record());
        assert_eq!(sender.poll(), Some((receipt, Ok(()))));
        drop(socket);
        let receipt = sender.put(&record());
        assert_eq!(sender.poll(), Some((receipt, Ok(()))));
    }

    #[test]
    fn required_records_are_unwritten_once_the_recorder_has_ended_or_the_queue_is_full() {
        let (mut sender, socket) = sender(Demand::Required);
        let waiting = sender.put(&record());
        drop(socket);
        let late = sender.put(&record());
        let mut answers: Vec<_> = std::iter::from_fn(|| sender.poll()).collect();
        answers.sort_by_key(|&(receipt, _)| receipt);
        assert_eq!(answers, [(waiting, Err(Unwritten)), (late, Err(Unwritten))]);

        let (mut sender, _socket) = self::sender(Demand::Required);
        let refused = loop {
            let receipt = sender.put(&record());
            // Queued records have no answer yet.
            if let Some(answer) = sender.poll() {
                assert_eq!(answer.0, receipt);
                break answer.1;
            }
        };
        assert_eq!(refused, Err(Unwritten));
    }
}
