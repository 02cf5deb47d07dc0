//! The supervisor's log lines and audit records on their way to the recorder, and the starts that wait for theirs.
//!
//! Invariant: nothing waits for the recorder but a start whose record is required, and that at most
//! [`ACKNOWLEDGEMENT`].

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use mio::Registry;

use super::tokens;
use crate::agent::audit::{Record, Unwritten};
use crate::agent::ipc::SocketInterest;
use crate::agent::jobs::JobId;
use crate::agent::log::Counts;
use crate::agent::recorder::limits::{ACKNOWLEDGEMENT, LAST_LINES};
use crate::agent::recorder::{AuditSender, LogSender, Receipt};
use crate::process::Spec;
use crate::time::Instant;

/// A start that waits for its record.
pub struct WaitingStart {
    /// The job.
    pub id: JobId,
    /// The process.
    pub spec: Box<Spec>,
    /// Time until which it waits.
    deadline: Instant,
}

/// Sender of log lines.
struct Log {
    sender: LogSender,
    /// Second descriptor of its socket, which is polled.
    _descriptor: OwnedFd,
    interest: SocketInterest,
}

/// Senders to the recorder.
pub struct Records {
    audit: Option<(AuditSender, SocketInterest)>,
    log: Option<Log>,
    registry: Registry,
    waiting: HashMap<Receipt, WaitingStart>,
    /// True after a record was not written in time, until one is: further starts are refused at once.
    overdue: bool,
    /// Time at which the recorder has started, if it is not the first.
    recorder_since: Instant,
    refused: Vec<WaitingStart>,
    /// Records and log lines that were lost before the program was executed.
    lost_before: [u64; 2],
    /// Counts for the last line.
    pub counts: Counts,
}

impl Records {
    /// Takes the senders. Without them nothing is recorded.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(
        audit: Option<AuditSender>,
        log: Option<LogSender>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let interest = |descriptor: BorrowedFd<'_>| {
            SocketInterest::register(registry, descriptor.as_raw_fd(), tokens::RECORDER)
        };
        let audit = match audit {
            Some(audit) => {
                let interest = interest(audit.as_fd())?;
                Some((audit, interest))
            }
            None => None,
        };
        let log = match log {
            Some(log) => {
                let descriptor = log.descriptor()?;
                let interest = interest(descriptor.as_fd())?;
                Some(Log {
                    sender: log,
                    _descriptor: descriptor,
                    interest,
                })
            }
            None => None,
        };
        Ok(Self {
            audit,
            log,
            registry: registry.try_clone()?,
            waiting: HashMap::new(),
            overdue: false,
            recorder_since: Instant::default(),
            refused: Vec::new(),
            lost_before: [0; 2],
            counts: Counts::default(),
        })
    }

    /// Records an event.
    pub fn send(&mut self, record: &Record<'_>) {
        if let Some((audit, _)) = &mut self.audit {
            audit.send(record);
        }
    }

    /// Records a line that the front has made and that was checked.
    pub fn send_line(&mut self, line: Vec<u8>) {
        if let Some((audit, _)) = &mut self.audit {
            audit.send_line(line);
        }
    }

    /// Records the acceptance of a command, whose start [`poll`](Self::poll) returns.
    ///
    /// # Errors
    /// The start, if nothing is recorded: it need not wait.
    pub fn accept(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        id: JobId,
        spec: Box<Spec>,
    ) -> Result<(), WaitingStart> {
        let deadline = now + ACKNOWLEDGEMENT;
        let start = WaitingStart { id, spec, deadline };
        let Some((audit, _)) = &mut self.audit else {
            return Err(start);
        };
        if self.overdue {
            self.refused.push(start);
            return Ok(());
        }
        let receipt = audit.put(record);
        self.waiting.insert(receipt, start);
        Ok(())
    }

    /// Sends what waits, and returns the next start whose record is written, or not and must not be.
    pub fn poll(&mut self, now: Instant) -> Option<(WaitingStart, Result<(), Unwritten>)> {
        if let Some(log) = &self.log
            && !log.sender.is_idle()
        {
            log.sender.drain();
        }
        let (audit, _) = self.audit.as_mut()?;
        if !audit.is_idle() {
            audit.drain();
        }
        while let Some((receipt, result)) = audit.poll() {
            self.overdue = false;
            if let Some(start) = self.waiting.remove(&receipt) {
                return Some((start, result));
            }
        }
        if let Some(start) = self.refused.pop() {
            return Some((start, Err(Unwritten)));
        }
        let due = |(_, start): &(&Receipt, &WaitingStart)| start.deadline <= now;
        let receipt = *self.waiting.iter().find(due)?.0;
        let start = self.waiting.remove(&receipt)?;
        // What an earlier recorder does not answer says nothing about this one.
        self.overdue |= start.deadline >= self.recorder_since + ACKNOWLEDGEMENT;
        Some((start, Err(Unwritten)))
    }

    /// Polls the sockets for room if something waits for it. Call it before each wait.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn wait_for_room(&mut self) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            let waiting = !log.sender.is_idle();
            log.interest.set_waiting(&self.registry, waiting)?;
        }
        if let Some((audit, interest)) = &mut self.audit {
            interest.set_waiting(&self.registry, !audit.is_idle())?;
        }
        Ok(())
    }

    /// Notes that another recorder writes: a record may be waited for again.
    pub const fn on_new_recorder(&mut self, now: Instant) {
        self.overdue = false;
        self.recorder_since = now;
    }

    /// Numbers of audit records, and of log lines of the supervisor, that the recorder has never got.
    pub fn lost(&self) -> [u64; 2] {
        let [records, lines] = self.lost_before;
        let audit = self.audit.as_ref().map_or(0, |(audit, _)| audit.lost());
        let log = self.log.as_ref().map_or(0, |log| log.sender.lost());
        [records.saturating_add(audit), lines.saturating_add(log)]
    }

    /// Returns the next deadline of a waiting start.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|start| start.deadline).min()
    }

    /// True if no start waits for its record.
    pub fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.refused.is_empty()
    }

    /// Returns the audit records and the log lines that the recorder has not taken.
    pub fn unsent(&self) -> [Vec<Vec<u8>>; 2] {
        let audit = self.audit.as_ref().map(|(audit, _)| audit.unsent());
        let log = self.log.as_ref().map(|log| log.sender.unsent());
        [audit, log].map(Option::unwrap_or_default)
    }

    /// Number of the first audit record of which nothing is sent.
    pub fn first_unsent(&self) -> u64 {
        self.audit
            .as_ref()
            .map_or(1, |(audit, _)| audit.first_unsent())
    }

    /// Takes the counts, and the records and lines that an earlier recorder has not taken.
    pub fn restore(
        &mut self,
        counts: Counts,
        lost: [u64; 2],
        [records, lines]: &[Vec<Vec<u8>>; 2],
    ) {
        self.counts = counts;
        self.lost_before = lost;
        for record in records {
            self.send_line(record.clone());
        }
        if let Some(log) = &self.log {
            for line in lines {
                log.sender.send(line);
            }
        }
    }

    /// Sends what waits, as far as the recorder accepts it in a moment, and ends lines and records.
    pub fn finish(&mut self) {
        if let Some(log) = &self.log {
            log.sender.flush(LAST_LINES);
            log.sender.end();
        }
        if let Some((audit, _)) = &mut self.audit {
            audit.flush(LAST_LINES);
            audit.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::agent::audit::{Demand, Event};
    use crate::process::User;

    #[test]
    fn after_a_record_that_is_never_answered_the_next_recorder_is_asked_again() {
        let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        let (ours, _theirs) = socketpair(family, SocketType::SEQPACKET, flags, None).unwrap();
        let poll = mio::Poll::new().unwrap();
        let audit = AuditSender::new(ours, Demand::Required, 1);
        let mut records = Records::new(Some(audit), None, poll.registry()).unwrap();
        let now = Instant::from_micros(1);
        let later = now + ACKNOWLEDGEMENT;
        let record = Record::of_agent(Event::Started { pid: 1 });
        let accept = |records: &mut Records, at, number| {
            let spec = Box::new(Spec::new(User::Named("ann".into())));
            assert!(records.accept(at, &record, JobId(number), spec).is_ok());
        };
        let refused = |records: &mut Records| {
            let (start, result) = records.poll(later)?;
            Some((start.id, result))
        };
        accept(&mut records, now, 1);
        assert!(records.poll(now).is_none(), "it waits");
        assert_eq!(refused(&mut records), Some((JobId(1), Err(Unwritten))));
        accept(&mut records, later, 2);
        assert_eq!(refused(&mut records), Some((JobId(2), Err(Unwritten))));
        records.on_new_recorder(later);
        accept(&mut records, later, 3);
        assert!(refused(&mut records).is_none(), "it waits");
        // One that an earlier recorder has taken, and not answered, refuses nothing else.
        let next = later + ACKNOWLEDGEMENT / 2;
        records.on_new_recorder(next);
        let end = later + ACKNOWLEDGEMENT;
        assert!(matches!(records.poll(end), Some((_, Err(Unwritten)))));
        accept(&mut records, end, 4);
        assert!(records.poll(end).is_none(), "it waits");
    }
}
