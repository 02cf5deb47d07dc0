//! How a job's sessions come and go: addresses, silence, restarts of the agent.

use std::time::Duration;

use super::attachment::{Asked, Attachment};
use super::{Action, JobRequest, RemoteJob, write};
use crate::control::limits;
use crate::message::{CloseCode, Exec, Outcome, Request, to_line};
use crate::session::{Closed, Command, Connect, SessionHandle, Ticket};
use crate::time::micros;
use crate::wire::Lane;

impl RemoteJob {
    /// Tries the next address, or the same one again.
    pub(super) fn connect(&mut self) {
        if self.attachments.len() == limits::ATTACHMENTS {
            self.drop_attachment(0, CloseCode::Shutdown);
        }
        let session = SessionHandle(u64::from(self.config.slot) << 16 | u64::from(self.generation));
        let path = self.config.paths[usize::from(self.generation) % self.config.paths.len()];
        let timeout = self.connect_timeout();
        self.generation += 1;

        let (asked, first) = self.first_request();
        let mut attachment = Attachment::new(session, asked);
        if asked == Asked::Exec && self.input.is_open() {
            attachment.stdin = Some(0);
        }
        self.command(Command::Connect(Connect {
            session,
            agent: self.config.agent,
            path,
            ticket: self.config.ticket,
            invite: None,
            first: to_line(&first).into(),
            timeout,
        }));
        // With a ticket the request travels in the first datagram.
        self.sent |= self.config.ticket.is_some();
        if self.cancel {
            let line = to_line(&Request::Cancel {}).into();
            self.command(write(&attachment, Lane::Control, line, false));
        }
        self.attachments.push(attachment);
    }

    /// Every address gets a short try, the last one half of the time, then the others what is left.
    fn connect_timeout(&self) -> Duration {
        let total = self.config.contact_timeout;
        let others = u32::try_from(self.config.paths.len() - 1).unwrap_or(u32::MAX);
        if self.contacted || others == 0 {
            total
        } else if u32::from(self.generation) < others {
            limits::NEXT_ADDRESS
        } else if u32::from(self.generation) == others {
            total / 2
        } else {
            total / 2 / others
        }
    }

    /// What a session is opened with: once the request may be in an agent's hands it is asked for. That of
    /// an earlier job may be, so it is asked for from the start.
    fn first_request(&self) -> (Asked, Request) {
        match &self.config.request {
            JobRequest::Exec(exec) if is_repeat(exec) && !self.accepted => {
                (Asked::Probe, Request::Exec(probe(exec)))
            }
            JobRequest::Exec(exec) if !self.sent => (Asked::Exec, Request::Exec(exec.clone())),
            JobRequest::Attach {
                id, stdout, stderr, ..
            } if !self.placed => (
                Asked::Attach,
                Request::Attach {
                    id: *id,
                    stdout: *stdout,
                    stderr: *stderr,
                },
            ),
            JobRequest::Exec(_) | JobRequest::Attach { .. } => (
                Asked::Attach,
                Request::Attach {
                    id: self.id,
                    stdout: Some(self.outputs[0].received),
                    stderr: Some(self.outputs[1].received),
                },
            ),
        }
    }

    pub(super) fn on_connected(&mut self, session: SessionHandle, ticket: Ticket) {
        let Some(index) = self.index(session) else {
            return;
        };
        self.contacted = true;
        self.silent_for = Duration::ZERO;
        self.config.ticket = Some(ticket);
        self.actions.push_back(Action::Learned(ticket));
        self.older = started_by(ticket) < self.first_asked();
        let attachment = &mut self.attachments[index];
        attachment.epoch = Some(ticket.epoch);
        if attachment.asked == Asked::Exec {
            self.sent = true;
            self.epoch = Some(ticket.epoch);
        }
        self.command(Command::Watch {
            session,
            silence: self.config.contact_timeout,
            ping: Some(self.config.contact_timeout / 2),
        });
    }

    /// When the request was first sent at the earliest, as [`started_by`] counts. Of the age the fraction of a
    /// millisecond is not known.
    fn first_asked(&self) -> i128 {
        let age = match &self.config.request {
            JobRequest::Exec(exec) if is_repeat(exec) => i128::from(exec.age_ms) + 1,
            JobRequest::Exec(_) | JobRequest::Attach { .. } => 0,
        };
        i128::from(self.config.begun.as_micros()) - age * 1000
    }

    /// Nothing was heard on a session for the contact timeout.
    pub(super) fn on_silence(&mut self) {
        if self.all_received() {
            return;
        }
        self.silent_for += self.config.contact_timeout;
        // One that has not answered yet is enough.
        if self.generation < u16::MAX
            && self
                .attachments
                .iter()
                .all(|attachment| attachment.epoch.is_some())
        {
            self.connect();
        }
    }

    pub(super) fn on_closed(&mut self, session: SessionHandle, reason: Closed) {
        let Some(index) = self.index(session) else {
            return;
        };
        self.attachments.remove(index);
        if self.all_received() {
            return;
        }
        match reason {
            Closed::Unreachable if !self.contacted => self.on_no_answer(),
            Closed::Unreachable => {
                self.silent_for += self.config.contact_timeout;
                self.ask_again();
            }
            Closed::Lost | Closed::KeyUsedUp => self.ask_again(),
            Closed::Restarted => {
                self.contacted = true;
                self.ask_again();
            }
            Closed::Full => {
                let outcome = if self.sent {
                    Outcome::Lost {}
                } else {
                    Outcome::Unreachable {}
                };
                self.give_up(outcome, Some("too many sessions here".into()));
            }
            Closed::ByPeer { code, .. } if code == CloseCode::KeyUsedUp as u64 => self.ask_again(),
            Closed::ByPeer { code, reason } => {
                if !self.attachments.is_empty() {
                    return;
                }
                let note = Some(reason).filter(|reason| !reason.is_empty());
                if code == CloseCode::Revoked as u64 && !self.accepted {
                    self.give_up(Outcome::Denied {}, note);
                } else {
                    self.give_up(
                        Outcome::Lost {},
                        note.or_else(|| Some("the agent has ended the session".into())),
                    );
                }
            }
            Closed::Violation(what) => {
                self.give_up(
                    Outcome::Lost {},
                    Some(format!("the agent broke the protocol: {what}")),
                );
            }
            Closed::Local => {}
        }
    }

    /// An address did not answer in its time.
    fn on_no_answer(&mut self) {
        let addresses = self.config.paths.len();
        // Each address but one is tried twice, see connect_timeout().
        if usize::from(self.generation) < 2 * addresses - 1 {
            self.connect();
        } else {
            self.end(Some(Outcome::Unreachable {}));
        }
    }

    /// An agent that answered before does not now.
    fn ask_again(&mut self) {
        if self.silent_for >= self.config.retry_for || self.generation == u16::MAX {
            self.give_up(Outcome::Lost {}, None);
        } else if self
            .attachments
            .iter()
            .all(|attachment| attachment.epoch.is_some())
        {
            self.connect();
        }
    }

    /// The agent has ended the call without an exit: someone else is attached now, perhaps we.
    pub(super) fn on_superseded(&mut self, index: usize) {
        let last = index + 1 == self.attachments.len();
        self.drop_attachment(index, CloseCode::Shutdown);
        if last {
            self.give_up(
                Outcome::Lost {},
                Some("another controller has attached to it".into()),
            );
        }
    }

    /// The agent does not know the job.
    pub(super) fn on_no_job(&mut self, index: usize) {
        let attachment = &mut self.attachments[index];
        let same_run = attachment.epoch.is_some() && attachment.epoch == self.epoch;
        match &self.config.request {
            // Then it cannot have run, and this is the first start. Which run an earlier job has sent it
            // to is not known here.
            JobRequest::Exec(exec)
                if !self.accepted && (self.older || same_run && !is_repeat(exec)) =>
            {
                if self.cancel {
                    return self.end(Some(Outcome::Canceled {}));
                }
                attachment.next_call(Asked::Exec);
                self.epoch = attachment.epoch;
                let line = to_line(&Request::Exec(exec.clone())).into();
                let write = write(attachment, Lane::Control, line, false);
                self.command(write);
            }
            JobRequest::Exec(_) | JobRequest::Attach { .. } => self.end(Some(Outcome::Unknown {})),
        }
    }

    pub(super) fn give_up(&mut self, outcome: Outcome, note: Option<String>) {
        self.note = note.or(self.note.take());
        self.end(Some(outcome));
    }

    pub(super) fn drop_attachment(&mut self, index: usize, code: CloseCode) {
        let attachment = self.attachments.remove(index);
        self.command(Command::Close {
            session: attachment.session,
            code: code as u64,
            reason: String::new(),
        });
    }

    /// The newest that was accepted is the one in use.
    pub(super) fn drop_other_attachments(&mut self, keep: usize) {
        while self.attachments.len() > keep + 1 {
            self.drop_attachment(keep + 1, CloseCode::Shutdown);
        }
        for _ in 0..keep {
            self.drop_attachment(0, CloseCode::Shutdown);
        }
    }
}

/// When the agent's run had begun at the latest, in microseconds of this side's clock; before its origin
/// perhaps. The ticket takes the agent's time to be half a round trip old; it may be new.
fn started_by(ticket: Ticket) -> i128 {
    i128::from(micros(ticket.rtt / 2)) - i128::from(ticket.offset)
}

/// An earlier job has asked for it, perhaps.
const fn is_repeat(exec: &Exec) -> bool {
    exec.age_ms > 0
}

/// The same request, but older than any agent, so that none starts it. However old it is said to be when it
/// is sent, it is older when it arrives, and an agent that has begun meanwhile would not know.
fn probe(exec: &Exec) -> Exec {
    Exec {
        age_ms: u64::MAX,
        ..exec.clone()
    }
}
