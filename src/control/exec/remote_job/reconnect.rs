//! Sessions of a job: further addresses, silence, restarts of the agent.

use bytes::Bytes;

use super::attachment::{Asked, Attachment};
use super::{Action, JobRequest, RemoteJob, write};
use crate::control::contact::{self, Failure};
use crate::control::limits;
use crate::crypto::PublicKey;
use crate::message::{CloseCode, Exec, Outcome, Request, to_line};
use crate::session::{Closed, Path, SessionHandle, Ticket};
use crate::time::{Instant, micros};
use crate::wire::Lane;

impl RemoteJob {
    /// Opens the next session.
    pub(super) fn connect(&mut self) {
        if self.attachments.len() == limits::ATTACHMENTS {
            self.drop_attachment(0, CloseCode::Shutdown);
        }
        let (asked, first) = self.first_request();
        // With a ticket from before, the request travels in the first datagram. Without one, it would wait in the session
        // for any time, and could arrive at an agent that has restarted since another controller has repeated it.
        let has_ticket = self.contact.ticket().is_some();
        let (asked, first) = match asked {
            Asked::Exec if !has_ticket || self.contact.is_contacted() => {
                (Asked::Nothing, Bytes::new())
            }
            asked => (asked, to_line(&first).into()),
        };
        self.sent |= has_ticket && asked != Asked::Nothing;
        let connect = self.contact.connect(first);
        self.command(connect);
        let session = self.contact.session();
        let mut attachment = Attachment::new(session, asked);
        if asked == Asked::Exec && self.input.is_open() {
            attachment.stdin = Some(0);
        }
        if self.cancel {
            let line = to_line(&Request::Cancel {}).into();
            self.command(write(&attachment, Lane::Control, line, false));
        }
        self.attachments.push(attachment);
    }

    /// Returns the request that opens the next session: an attach once an agent may have the request, and a probe for a
    /// repeated request, which an agent may have from an earlier job.
    fn first_request(&self) -> (Asked, Request) {
        match &self.request {
            JobRequest::Exec(exec) if is_repeat(exec) && !self.accepted => {
                (Asked::Probe, probe(exec).into_request())
            }
            JobRequest::Exec(exec) if !self.sent => (Asked::Exec, exec.clone().into_request()),
            JobRequest::Attach {
                id,
                stdout,
                stderr,
                key,
                ..
            } if !self.placed => (
                Asked::Attach,
                Request::Attach {
                    id: *id,
                    stdout: *stdout,
                    stderr: *stderr,
                    key: *key,
                },
            ),
            JobRequest::Exec(_) | JobRequest::Attach { .. } => (
                Asked::Attach,
                Request::Attach {
                    id: self.id,
                    // Without an offset, the agent draws the screen.
                    stdout: (!self.wants_screen).then_some(self.outputs[0].received),
                    stderr: Some(self.outputs[1].received),
                    key: self.owner(),
                },
            ),
        }
    }

    /// Returns the key of the job's owner, if it is another.
    const fn owner(&self) -> Option<PublicKey> {
        match self.request {
            JobRequest::Exec(_) => None,
            JobRequest::Attach { key, .. } => key,
        }
    }

    pub(super) fn on_connected(
        &mut self,
        session: SessionHandle,
        path: Path,
        at: Instant,
        ticket: Ticket,
    ) {
        let Some(index) = self.index(session) else {
            return;
        };
        self.contact.on_connected(path, ticket);
        self.actions.push_back(Action::Learned(ticket));
        let address = self.contact.answered_at();
        self.actions.extend(address.map(Action::Answered));
        self.older = started_by(ticket) < self.first_asked();
        self.attachments[index].epoch = Some(ticket.epoch);
        if self.attachments[index].asked == Asked::Nothing {
            self.ask(index, at);
        }
        // A session that was opened without a ticket has its first request now, be it an attach or a probe.
        self.sent |= self.attachments[index].asked != Asked::Nothing;
        if self.attachments[index].asked == Asked::Exec {
            self.epoch = Some(ticket.epoch);
        }
        let watch = self.contact.watch(session);
        self.command(watch);
    }

    /// Sends the first request on a session that was opened without it. Another controller may have sent a request with a
    /// chosen id to an earlier run of the agent, and this one may have sent it itself: then it has its age, and it starts
    /// nothing unless this agent was certainly started before the job began. An id that was drawn for this job has
    /// reached nobody yet.
    fn ask(&mut self, index: usize, at: Instant) {
        let JobRequest::Exec(exec) = &self.request else {
            return;
        };
        let may_be_known = self.sent || exec.retain;
        let exec = if !may_be_known {
            exec.clone()
        } else if self.older {
            let age_ms = u64::try_from(at.since(self.begun).as_millis()).unwrap_or(u64::MAX);
            Exec {
                age_ms,
                ..exec.clone()
            }
        } else {
            probe(exec)
        };
        self.attachments[index].asked = Asked::Exec;
        let line = to_line(&exec.into_request()).into();
        let write = write(&self.attachments[index], Lane::Control, line, false);
        self.command(write);
        self.resume_stdin(index, 0);
    }

    /// Returns the earliest time at which the request was first sent, in the unit of [`started_by`]. The age is rounded
    /// to milliseconds, so one more is subtracted.
    fn first_asked(&self) -> i128 {
        let age = match &self.request {
            JobRequest::Exec(exec) if is_repeat(exec) => i128::from(exec.age_ms) + 1,
            JobRequest::Exec(_) | JobRequest::Attach { .. } => 0,
        };
        i128::from(self.begun.as_micros()) - age * 1000
    }

    /// Handles a silence of the contact timeout on a session.
    pub(super) fn on_silence(&mut self) {
        if self.all_received() {
            return;
        }
        // A job is given up when a session ends, not while one may still be heard.
        let _ = self.contact.on_silence();
        if self.contact.may_connect() {
            self.connect_beside();
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
        match self.contact.on_closed(reason) {
            Ok(()) => self.connect_beside(),
            Err(Failure::Unreachable { is_refused, note }) => {
                self.is_refused = is_refused;
                self.give_up(Outcome::Unreachable {}, note);
            }
            Err(Failure::Lost) => {
                self.give_up(Outcome::Lost {}, Some("the agent does not answer".into()));
            }
            Err(Failure::Full) => {
                let outcome = if self.sent {
                    Outcome::Lost {}
                } else {
                    Outcome::Unreachable {}
                };
                self.give_up(outcome, Some("too many sessions here".into()));
            }
            Err(Failure::ByPeer { code, reason }) => {
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
            Err(Failure::Violation(what)) => {
                self.give_up(
                    Outcome::Lost {},
                    Some(format!("the agent broke the protocol: {what}")),
                );
            }
            Err(Failure::Local) => {}
        }
    }

    /// Ends the job if the agent has never answered, as when the contact timeout is over.
    pub fn give_up_unanswered(&mut self) {
        if !self.ended && !self.is_answered() {
            self.give_up(Outcome::Unreachable {}, self.contact.tried());
        }
    }

    /// Opens a session beside those in use, unless one of them has not been answered yet.
    pub(super) fn connect_beside(&mut self) {
        if self
            .attachments
            .iter()
            .all(|attachment| attachment.epoch.is_some())
        {
            self.connect();
        }
    }

    /// Handles the end of a call without an exit: another attachment has superseded it, perhaps one of this job.
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

    /// Handles the reply that the agent does not know the job.
    pub(super) fn on_no_job(&mut self, index: usize) {
        let attachment = &mut self.attachments[index];
        let same_run = attachment.epoch.is_some() && attachment.epoch == self.epoch;
        match &self.request {
            // The request cannot have run, so this is its first start. Of a repeat it is not known which run of the
            // agent the earlier job has sent it to.
            JobRequest::Exec(exec)
                if !self.accepted && (self.older || same_run && !is_repeat(exec)) =>
            {
                if self.cancel {
                    return self.end(Some(Outcome::Canceled {}));
                }
                attachment.next_call(Asked::Exec);
                self.epoch = attachment.epoch;
                let line = to_line(&exec.clone().into_request()).into();
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
        self.command(contact::close(attachment.session, code));
    }

    /// Drops all attachments but one, the newest that was accepted, which is in use from now on.
    pub(super) fn drop_other_attachments(&mut self, keep: usize) {
        while self.attachments.len() > keep + 1 {
            self.drop_attachment(keep + 1, CloseCode::Shutdown);
        }
        for _ in 0..keep {
            self.drop_attachment(0, CloseCode::Shutdown);
        }
    }
}

/// Returns the latest time at which the agent was started, in microseconds of this side's clock; negative if before
/// its origin. The ticket assumes that the agent's time was half a round trip old when it arrived.
fn started_by(ticket: Ticket) -> i128 {
    i128::from(micros(ticket.rtt / 2)) - i128::from(ticket.offset)
}

/// Returns true if an earlier job may have sent the request.
const fn is_repeat(exec: &Exec) -> bool {
    exec.age_ms > 0
}

/// Returns the request with an age beyond that of any agent, so that none starts it. The real age would not do: the
/// request is older when it arrives, and an agent that was started in between would not know.
fn probe(exec: &Exec) -> Exec {
    Exec {
        age_ms: u64::MAX,
        ..exec.clone()
    }
}
