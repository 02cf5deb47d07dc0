//! One command on one host: session events, input, and counts of written bytes in; session commands,
//! output and at last a [`Report`] out.
//!
//! Sans-IO, and without a clock of its own: the session layer reports that nothing answered in time
//! ([`Closed::Unreachable`](crate::session::Closed)) and that a session fell silent. After every call the driver drains
//! [`RemoteJob::poll`].
//!
//! ```text
//!            Closed::Unreachable                      Silent, Closed::Lost
//!  contacting ────────────────► unreachable      ┌───────────────────────► reconnecting ──► lost
//!      │ accepted                                │   (attach, new session)      │
//!      └──────────────► receiving ───────────────┘◄─────────────────────────────┤ accepted
//!                           │ exit, every byte received and written             │ no job
//!                           ▼                                                   ▼
//!                         result                                             unknown
//! ```
//!
//! Invariants: once an agent may have the request, a job only attaches; it asks for a start again only if the run of
//! the agent that would have taken the request has never seen it. Without a ticket, it sends the request once an agent
//! has answered, with its age if anybody may have sent it before. Credit is granted only for bytes that were reported
//! written. The report follows the last byte.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::{Output, Report};
use crate::control::contact::{self, Contact};
use crate::control::limits;
use crate::crypto::PublicKey;
use crate::message::{CloseCode, Outcome, Request, RequestId, Window, to_line};
use crate::net::Refusal;
use crate::session::{Command, Event, Path, SessionHandle, StreamEvent, Ticket};
use crate::time::Instant;
use crate::wire::{Lane, StreamId};
pub use actions::Action;
use attachment::Attachment;
use input::Input;
pub use job_request::JobRequest;
use progress::{Exit, Progress};

mod actions;
mod attachment;
mod input;
mod job_request;
mod progress;
mod receive;
mod reconnect;
mod terminal;

/// Condition under which a job is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// The result is whole.
    Result,
    /// The command runs.
    Detach,
}

/// Parameters of a job.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of the job among those of the process; see [`Contact::slot_of`].
    pub slot: u32,
    /// Request.
    pub request: JobRequest,
    /// Condition under which the job is done.
    pub goal: Goal,
    /// Key of the agent.
    pub agent: PublicKey,
    /// Addresses of the agent, best first; not empty.
    pub paths: Vec<Path>,
    /// Ticket from an earlier session.
    pub ticket: Option<Ticket>,
    /// Time at which the job began. An agent that was started before, and before the first sending of a repeated
    /// request, cannot have taken the request and forgotten it.
    pub begun: Instant,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Time for which a silent agent is retried.
    pub retry_for: Duration,
}

/// One command on one host.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct RemoteJob {
    contact: Contact,
    request: JobRequest,
    goal: Goal,
    begun: Instant,
    id: RequestId,
    commands: VecDeque<Command>,
    /// Actions other than commands.
    actions: VecDeque<Action>,
    /// The attachment in use and, after a silence, those tried beside it.
    attachments: Vec<Attachment>,
    /// True if an agent may have the request.
    sent: bool,
    accepted: bool,
    /// Run of the agent that would have taken the request.
    epoch: Option<u64>,
    /// True if the agent that last answered was started before the request was first sent.
    older: bool,
    /// True if the first offsets of the outputs are known.
    placed: bool,
    outputs: [Progress; 2],
    input: Input,
    /// Size of the window in which the job's terminal is shown.
    window: Option<Window>,
    /// True until the screen is drawn that was asked for.
    wants_screen: bool,
    exit: Option<Exit>,
    /// Id of the process, and the error number of its home directory.
    process: Option<(i32, Option<i32>)>,
    flushed: bool,
    cancel: bool,
    /// Signals to send once the command runs.
    signals: Vec<i32>,
    note: Option<String>,
    /// True if the note is a report of the network.
    is_refused: bool,
    ended: bool,
}

impl RemoteJob {
    /// Creates a job. Its first action opens a session.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let stdin = matches!(&config.request, JobRequest::Exec(exec) if exec.stdin || exec.terminal.is_some());
        let mut job = Self {
            id: config.request.id(),
            commands: VecDeque::new(),
            actions: VecDeque::new(),
            attachments: Vec::new(),
            sent: false,
            accepted: false,
            epoch: config.ticket.map(|ticket| ticket.epoch),
            older: false,
            placed: false,
            outputs: [Progress::default(); 2],
            input: Input::new(stdin),
            window: None,
            wants_screen: false,
            exit: None,
            process: None,
            flushed: false,
            cancel: false,
            signals: Vec::new(),
            note: None,
            is_refused: false,
            ended: false,
            contact: Contact::new(contact::Config {
                slot: config.slot,
                agent: config.agent,
                paths: config.paths,
                ticket: config.ticket,
                invite: None,
                contact_timeout: config.contact_timeout,
                retry_for: config.retry_for,
            }),
            request: config.request,
            goal: config.goal,
            begun: config.begun,
        };
        job.connect();
        job
    }

    /// Returns the request id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Handles an event of the session layer.
    pub fn on_event(&mut self, event: Event) {
        if self.ended {
            return;
        }
        match event {
            Event::Connected {
                session,
                path,
                at,
                ticket,
                ..
            } => self.on_connected(session, path, at, ticket),
            Event::Stream { session, event } => self.on_stream_event(session, event),
            Event::Silent { .. } => self.on_silence(),
            Event::Heard { .. } => self.contact.on_heard(),
            Event::Closed { session, reason } => self.on_closed(session, reason),
            Event::Accepted { .. }
            | Event::Confirmed { .. }
            | Event::DatagramSize { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. } => {}
        }
        self.finish_if_whole();
    }

    fn on_stream_event(&mut self, session: SessionHandle, event: StreamEvent) {
        match event {
            StreamEvent::Data {
                stream, data, fin, ..
            } => self.on_data(session, stream, &data, fin),
            StreamEvent::Writable {
                stream,
                consumed,
                limit,
            } if stream.lane() == Lane::Data => {
                if let Some(start) = self
                    .attachment(session, stream)
                    .and_then(|attachment| attachment.stdin)
                {
                    self.input
                        .on_credit(start.saturating_add(consumed), start.saturating_add(limit));
                }
            }
            StreamEvent::Stopped { stream, .. }
                if stream.lane() == Lane::Data && self.attachment(session, stream).is_some() =>
            {
                self.input.close();
            }
            StreamEvent::Reset { stream, .. } => self.on_reset(session, stream),
            StreamEvent::Writable { .. }
            | StreamEvent::Stopped { .. }
            | StreamEvent::Delivered { .. }
            | StreamEvent::CallEnded { .. } => {}
        }
    }

    /// Reports that this many more bytes of an output have been written.
    pub fn on_written(&mut self, output: Output, bytes: u64) {
        let progress = &mut self.outputs[output as usize];
        progress.written = progress.written.saturating_add(bytes);
        self.grant(output);
        self.finish_if_whole();
    }

    /// Reports that an output has no reader any more. The command is canceled.
    pub fn on_broken_pipe(&mut self, output: Output) {
        let progress = &mut self.outputs[output as usize];
        if progress.abandoned || self.ended {
            return;
        }
        progress.abandoned = true;
        progress.written = progress.received;
        for attachment in 0..self.attachments.len() {
            self.stop(attachment, output);
        }
        self.cancel();
        self.finish_if_whole();
    }

    /// Takes the next bytes of stdin; with `fin`, the last ones.
    pub fn on_stdin(&mut self, data: Bytes, fin: bool) {
        if self.ended || !self.input.push(&data, fin) {
            return;
        }
        // The newest attachment that takes input: an older one may have been superseded at the agent.
        if let Some(attachment) = self
            .attachments
            .iter()
            .rfind(|attachment| attachment.stdin.is_some())
        {
            let write = write(attachment, Lane::Data, data, fin);
            self.command(write);
        }
    }

    /// Handles a report that datagrams do not reach the agent; returns as [`Contact::on_refused`].
    pub fn on_refused(&mut self, refusal: Refusal) -> Option<String> {
        self.contact.on_refused(refusal)
    }

    /// Returns words for an agent that has not answered yet, as [`Contact::waiting`].
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        self.contact.waiting()
    }

    /// Handles such a report in a run over several hosts, as [`Contact::on_refused_among`].
    pub fn on_refused_among(&mut self, refusal: Refusal) {
        self.contact.on_refused_among(refusal);
    }

    /// Returns true if the agent may have the request.
    #[must_use]
    pub const fn may_be_there(&self) -> bool {
        self.sent
    }

    /// Returns true if the agent has answered.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.contact.is_contacted()
    }

    /// Returns true if the agent has accepted the request.
    #[must_use]
    pub const fn was_accepted(&self) -> bool {
        self.accepted
    }

    /// Returns true if there is credit for stdin and the process still reads it.
    #[must_use]
    pub const fn wants_stdin(&self) -> bool {
        !self.ended && self.exit.is_none() && self.input.wanted()
    }

    /// Returns true if the process still reads stdin.
    #[must_use]
    pub const fn takes_stdin(&self) -> bool {
        !self.ended && self.exit.is_none() && self.input.takes_more()
    }

    /// Gives no further input to the command.
    pub fn drop_input(&mut self) {
        self.input.close();
    }

    /// Sets the size of the window in which the job's terminal is shown.
    pub fn resize(&mut self, window: Window) {
        self.window = Some(window);
        self.tell_window();
    }

    /// Sends a signal to the command. One that comes before the command runs is kept until then.
    pub fn signal(&mut self, signal: i32) {
        if self.ended || self.exit.is_some() {
            return;
        }
        let line = to_line(&Request::Signal {
            id: self.id,
            signal,
            key: None,
        });
        if let Some(attachment) = self
            .attachments
            .first()
            .filter(|attachment| attachment.accepted)
        {
            let write = write(attachment, Lane::Control, line.into(), false);
            self.command(write);
        } else if self.signals.len() < limits::SIGNALS {
            self.signals.push(signal);
        }
    }

    /// Cancels the command. The report has its outcome.
    pub fn cancel(&mut self) {
        if self.ended || std::mem::replace(&mut self.cancel, true) {
            return;
        }
        if !self.sent {
            return self.end(Some(Outcome::Canceled {}));
        }
        let line = Bytes::from(to_line(&Request::Cancel {}));
        let writes: Vec<_> = self
            .attachments
            .iter()
            .map(|attachment| write(attachment, Lane::Control, line.clone(), false))
            .collect();
        for write in writes {
            self.command(write);
        }
    }

    fn index(&self, session: SessionHandle) -> Option<usize> {
        self.attachments
            .iter()
            .position(|attachment| attachment.session == session)
    }

    /// Returns the attachment with the current call that a stream belongs to.
    fn attachment(&self, session: SessionHandle, stream: StreamId) -> Option<&Attachment> {
        let attachment = &self.attachments[self.index(session)?];
        (attachment.call == stream.call()).then_some(attachment)
    }

    /// Ends the job without collecting the result.
    fn end(&mut self, outcome: Option<Outcome>) {
        self.leave(outcome, CloseCode::Shutdown);
    }

    /// Ends the job. [`CloseCode::Done`] acknowledges the result to the agent.
    fn leave(&mut self, outcome: Option<Outcome>, code: CloseCode) {
        self.ended = true;
        while !self.attachments.is_empty() {
            self.drop_attachment(0, code);
        }
        let exit = self.exit;
        self.actions.push_back(Action::Ended(Report {
            id: self.id,
            outcome,
            accepted: self.accepted,
            lengths: exit.map_or(self.outputs.map(|output| output.received), |exit| {
                exit.lengths
            }),
            missing: self.outputs.map(|output| output.missing),
            streams_open: exit.is_some_and(|exit| exit.streams_open),
            cause: exit.and_then(|exit| exit.cause),
            still_running: exit.is_some_and(|exit| exit.still_running),
            pid: self.process.map(|process| process.0),
            home: self.process.and_then(|process| process.1),
            note: self.note.take(),
            is_refused: self.is_refused,
        }));
    }
}

/// Writes to the call of an attachment.
fn write(attachment: &Attachment, lane: Lane, data: Bytes, fin: bool) -> Command {
    Command::Write {
        session: attachment.session,
        stream: attachment.stream(lane),
        data,
        fin,
    }
}

#[cfg(test)]
mod tests;
