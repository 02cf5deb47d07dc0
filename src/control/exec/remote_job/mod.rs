//! One command on one host: session events, input, and counts of written bytes in; session commands,
//! output and at last a [`Report`] out.
//!
//! Sans-IO, and without a clock of its own: the session machine tells when nothing answered in time
//! ([`Closed::Unreachable`](crate::session::Closed)) and when a session fell silent. After every call the driver drains
//! [`RemoteJob::poll`].
//!
//! ```text
//!            Closed::Unreachable                      Silent, Closed::Lost
//!  contacting ────────────────► unreachable      ┌───────────────────────► asking again ──► lost
//!      │ accepted                                │   (attach, new session)      │
//!      └──────────────► receiving ───────────────┘◄─────────────────────────────┤ accepted
//!                           │ exit, every byte received and written             │ no job
//!                           ▼                                                   ▼
//!                         result                                             unknown
//! ```
//!
//! Invariants: a second start is never asked for, only an attach, unless the agent's run that would
//! have taken the first one says that it has never seen the request; credit is granted only for bytes
//! that were reported written; the report follows the last byte.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::{Output, Report};
use crate::control::limits;
use crate::crypto::PublicKey;
use crate::message::{Cause, CloseCode, Exec, Outcome, Request, RequestId, Window, to_line};
use crate::session::{Command, Event, Path, SessionHandle, StreamEvent, Ticket};
use crate::time::Instant;
use crate::wire::{Lane, StreamId};
use attachment::Attachment;
use input::Input;

mod attachment;
mod input;
mod receive;
mod reconnect;
mod terminal;

/// What is asked of the agent.
#[derive(Clone, Debug)]
pub enum JobRequest {
    /// Run a command. With an age it is asked first, in a way that starts nothing, whether the agent has it.
    Exec(Exec),
    /// Attach to a job that runs or ran.
    Attach {
        /// The job.
        id: RequestId,
        /// First stdout byte wanted; `None`: the first that no controller has written out.
        stdout: Option<u64>,
        /// First stderr byte wanted; likewise.
        stderr: Option<u64>,
        /// Whether input follows, if the job has a terminal.
        keyboard: bool,
    },
}

impl JobRequest {
    /// The request's id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        match self {
            Self::Exec(exec) => exec.id,
            Self::Attach { id, .. } => *id,
        }
    }
}

/// When the machine is through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// When the result is whole.
    Result,
    /// When the command runs.
    Detach,
}

/// What a command on a host needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Numbers this job among those of the process; see [`RemoteJob::slot_of`].
    pub slot: u32,
    /// What to ask.
    pub request: JobRequest,
    /// Until when.
    pub goal: Goal,
    /// Whose agent it must be.
    pub agent: PublicKey,
    /// Its addresses, best first; not empty.
    pub paths: Vec<Path>,
    /// What is remembered of it.
    pub ticket: Option<Ticket>,
    /// When the job began: an agent that is older, by the age of a repeated request at least, has not
    /// taken and forgotten it.
    pub begun: Instant,
    /// How long an agent that does not answer is waited for.
    pub contact_timeout: Duration,
    /// How long an agent that fell silent is asked again.
    pub retry_for: Duration,
}

/// What the machine wants done.
#[derive(Clone, Debug)]
pub enum Action {
    /// For the session machine.
    Command(Command),
    /// The next bytes of an output, in order, each once; the first stands at this place in it. Report
    /// them with [`RemoteJob::on_written`].
    Output(Output, u64, Bytes),
    /// So many bytes of an output, from this one on, are no longer held. Comes before what follows them.
    Gap(Output, u64, u64),
    /// To be remembered of the agent.
    Learned(Ticket),
    /// The agent has taken the request.
    Accepted {
        /// The job has a terminal.
        terminal: bool,
        /// The outputs begin with these bytes of theirs.
        places: [u64; 2],
    },
    /// Bytes that paint what the job's terminal shows, in the place of output that does not come.
    Screen(Bytes),
    /// No output follows: what was held back, as half a line, is to be written now.
    Flush,
    /// It is over; nothing follows.
    Ended(Report),
}

/// An output as the job counts it.
#[derive(Clone, Copy, Default, Debug)]
struct Progress {
    received: u64,
    written: u64,
    /// Bytes that the agent no longer held.
    missing: u64,
    /// Nobody reads it.
    abandoned: bool,
}

/// What the agent said of the end.
#[derive(Clone, Copy, Debug)]
struct Exit {
    outcome: Outcome,
    lengths: [u64; 2],
    streams_open: bool,
    cause: Option<Cause>,
}

/// One command on one host.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct RemoteJob {
    config: Config,
    id: RequestId,
    actions: VecDeque<Action>,
    /// The session in use and, after a silence, those tried beside it.
    attachments: Vec<Attachment>,
    generation: u16,
    /// An agent has answered at all.
    contacted: bool,
    /// The request may be in an agent's hands.
    sent: bool,
    accepted: bool,
    /// The agent's run that would have taken the request.
    epoch: Option<u64>,
    /// The agent that last answered has run since before the job began.
    older: bool,
    /// Whether the outputs' first offsets are known.
    placed: bool,
    outputs: [Progress; 2],
    input: Input,
    /// The window of its terminal, once it was told.
    window: Option<Window>,
    exit: Option<Exit>,
    flushed: bool,
    cancel: bool,
    /// Signals that wait for the command.
    signals: Vec<i32>,
    silent_for: Duration,
    note: Option<String>,
    ended: bool,
}

impl RemoteJob {
    /// Begins: the first action opens a session.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let stdin = matches!(&config.request, JobRequest::Exec(exec) if exec.stdin || exec.terminal.is_some());
        let mut job = Self {
            id: config.request.id(),
            actions: VecDeque::new(),
            attachments: Vec::new(),
            generation: 0,
            contacted: false,
            sent: false,
            accepted: false,
            epoch: config.ticket.map(|ticket| ticket.epoch),
            older: false,
            placed: false,
            outputs: [Progress::default(); 2],
            input: Input::new(stdin),
            window: None,
            exit: None,
            flushed: false,
            cancel: false,
            signals: Vec::new(),
            silent_for: Duration::ZERO,
            note: None,
            ended: false,
            config,
        };
        job.connect();
        job
    }

    /// The slot of the job that a session belongs to.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "connect() shifts a 32-bit slot"
    )]
    pub const fn slot_of(session: SessionHandle) -> u32 {
        (session.0 >> 16) as u32
    }

    /// The request's id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Something happened on one of its sessions.
    pub fn on_event(&mut self, event: Event) {
        if self.ended {
            return;
        }
        match event {
            Event::Connected {
                session, ticket, ..
            } => self.on_connected(session, ticket),
            Event::Stream { session, event } => self.on_stream_event(session, event),
            Event::Silent { .. } => self.on_silence(),
            Event::Heard { .. } => self.silent_for = Duration::ZERO,
            Event::Closed { session, reason } => self.on_closed(session, reason),
            Event::Accepted { .. } | Event::Moved { .. } | Event::InitSeen { .. } => {}
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

    /// So many more bytes of an output have been written out for good.
    pub fn on_written(&mut self, output: Output, bytes: u64) {
        let progress = &mut self.outputs[output as usize];
        progress.written = progress.written.saturating_add(bytes);
        self.grant(output);
        self.finish_if_whole();
    }

    /// Nobody reads an output any more: the process is to notice, and be ended.
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

    /// The next bytes of stdin; `fin`: its end.
    pub fn on_stdin(&mut self, data: Bytes, fin: bool) {
        if self.ended || !self.input.push(&data, fin) {
            return;
        }
        // The newest attachment that may be written: an older one may have been superseded at the agent.
        if let Some(attachment) = self
            .attachments
            .iter()
            .rfind(|attachment| attachment.stdin.is_some())
        {
            let write = write(attachment, Lane::Data, data, fin);
            self.command(write);
        }
    }

    /// Whether the agent may have the request.
    #[must_use]
    pub const fn may_be_there(&self) -> bool {
        self.sent
    }

    /// Whether [`RemoteJob::on_stdin`] should be called: there is credit, and the process still reads.
    #[must_use]
    pub const fn wants_stdin(&self) -> bool {
        !self.ended && self.exit.is_none() && self.input.wanted()
    }

    /// Whether it is one of those that stdin is read for.
    #[must_use]
    pub const fn takes_stdin(&self) -> bool {
        !self.ended && self.exit.is_none() && self.input.takes_more()
    }

    /// The window in which the job's terminal is shown has this size.
    pub fn resize(&mut self, window: Window) {
        self.window = Some(window);
        self.tell_window();
    }

    /// The command is to get a signal; one that comes before it runs is kept until then.
    pub fn signal(&mut self, signal: i32) {
        if self.ended || self.exit.is_some() {
            return;
        }
        let line = to_line(&Request::Signal {
            id: self.id,
            signal,
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

    /// The user wants it ended; the report tells how it ended.
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

    fn command(&mut self, command: Command) {
        self.actions.push_back(Action::Command(command));
    }

    fn index(&self, session: SessionHandle) -> Option<usize> {
        self.attachments
            .iter()
            .position(|attachment| attachment.session == session)
    }

    /// The attachment whose present call a stream belongs to.
    fn attachment(&self, session: SessionHandle, stream: StreamId) -> Option<&Attachment> {
        let attachment = &self.attachments[self.index(session)?];
        (attachment.call == stream.call()).then_some(attachment)
    }

    /// Leaves: the report is all that follows.
    fn end(&mut self, outcome: Option<Outcome>) {
        self.leave(outcome, CloseCode::Shutdown);
    }

    /// Leaves with a reason: [`CloseCode::Done`] says that the result is in good hands, and only then.
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
            note: self.note.take(),
        }));
    }
}

/// A write to an attachment's call.
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
