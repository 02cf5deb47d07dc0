//! A command of `/exec` at the agent's prompt: the controller's end of a session within the agent.
//!
//! Sans-IO. Its events go to the [service](crate::agent::core::Service), whose commands for the session come back. Not
//! the decision whether it may run, which is that about any session of the key. Invariants: what is held of its output is
//! less than a line; output counts as consumed once it was given away to be shown, so that the next front shows the rest.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::message::report::{Output, Report, is_open, words};
use crate::message::{CloseCode, Exec, Lines, Outcome, Reply, Request, RequestId, to_line};
use crate::prompt::exec::Running;
use crate::session::limits::INITIAL_STREAM_CREDIT;
use crate::session::{Closed, Command, Event, SessionHandle, StreamEvent};
use crate::wire::{CallId, Lane, StreamId};

/// The only call of the session.
const CALL: CallId = CallId(0);

/// Lines for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToShow {
    /// Lines of output, marked and escaped.
    Output(Vec<String>),
    /// Note, escaped.
    Note(String),
}

/// Bytes of a lane of output.
#[derive(Clone, Copy, Default, Debug)]
struct Progress {
    /// Offset in the output at which the lane begins.
    base: u64,
    received: u64,
    /// Bytes that were reported as consumed.
    consumed: u64,
}

/// A command of `/exec`.
#[derive(Debug)]
pub struct OwnCommand {
    session: SessionHandle,
    running: Running,
    /// Result as far as it is known.
    report: Report,
    lines: Lines,
    /// Bytes that were sent on the control lane.
    sent: u64,
    outputs: [Progress; 2],
    events: VecDeque<Event>,
    to_show: VecDeque<ToShow>,
    has_ended: bool,
}

impl OwnCommand {
    /// Requests a command in a new session. `program` is its first word.
    #[must_use]
    pub fn new(session: SessionHandle, program: &str, exec: Exec) -> Self {
        let id = exec.id;
        Self::of(session, program, id, &exec.into_request())
    }

    /// Attaches to a command of an earlier front in a new session.
    #[must_use]
    pub fn attach(session: SessionHandle, program: &str, id: RequestId) -> Self {
        let request = Request::Attach {
            id,
            stdout: None,
            stderr: None,
            key: None,
        };
        Self::of(session, program, id, &request)
    }

    fn of(session: SessionHandle, program: &str, id: RequestId, request: &Request) -> Self {
        let mut command = Self {
            session,
            running: Running::new(program),
            report: Report::new(id, None),
            lines: Lines::default(),
            sent: 0,
            outputs: [Progress::default(); 2],
            events: VecDeque::new(),
            to_show: VecDeque::new(),
            has_ended: false,
        };
        command.send(request);
        command
    }

    /// Returns the session.
    #[must_use]
    pub const fn session(&self) -> SessionHandle {
        self.session
    }

    /// Returns the next event of the session.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the next lines for the user.
    pub fn poll_lines(&mut self) -> Option<ToShow> {
        self.to_show.pop_front()
    }

    /// Returns true once the last line was given away.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.has_ended && self.events.is_empty() && self.to_show.is_empty()
    }

    /// Cancels the command, as the user requests.
    pub fn cancel(&mut self) {
        if let Some(note) = self.running.cancel("").filter(|_| !self.has_ended) {
            self.to_show.push_back(ToShow::Note(note));
            self.send(&Request::Cancel {});
        }
    }

    /// Gives away what is held of lines that have not ended, and the number of bytes that are not shown, before another
    /// front takes the place of this one.
    pub fn flush(&mut self) {
        if !self.has_ended {
            let last = self.running.leave();
            self.show(last.output);
            self.to_show
                .extend(last.notes.into_iter().map(ToShow::Note));
            for output in Output::ALL {
                self.grant(output);
            }
        }
    }

    /// Processes a command of the service for the session.
    pub fn on_command(&mut self, command: Command) {
        if self.has_ended {
            return;
        }
        match command {
            Command::Write { stream, data, .. } => match Output::of(stream.lane()) {
                None => self.on_control(&data),
                Some(output) => self.on_output(output, &data),
            },
            // The agent releases a call without a result if another one is attached to the job.
            Command::Release { .. } => self.lose("another controller has attached to it".into()),
            Command::Close { reason, .. } => self.lose(reason),
            // It has no input, and is never silent.
            Command::Consumed { .. }
            | Command::Stop { .. }
            | Command::Watch { .. }
            | Command::Reset { .. }
            | Command::FindDatagramSize { .. }
            | Command::Connect(_) => {}
        }
    }

    fn on_control(&mut self, data: &[u8]) {
        self.lines.push(data);
        while let Some(reply) = self.lines.next::<Reply>() {
            match reply {
                Ok(reply) => self.on_reply(reply),
                Err(error) => return self.lose(format!("a malformed reply: {error:?}")),
            }
            if self.has_ended {
                return;
            }
        }
    }

    fn on_reply(&mut self, reply: Reply) {
        match reply {
            Reply::Accepted { stdout, stderr, .. } => {
                self.report.accepted = true;
                for (output, base) in self.outputs.iter_mut().zip([stdout, stderr]) {
                    output.base = base;
                }
                self.running.begin_after(stdout.saturating_add(stderr));
            }
            Reply::Started { pid, home } => {
                self.report.pid = Some(pid);
                self.report.home = home;
            }
            Reply::Exit {
                outcome,
                stdout,
                stderr,
                streams_open,
                cause,
                still_running,
            } => {
                self.report.lengths = [stdout, stderr];
                self.report.streams_open = streams_open;
                self.report.cause = cause;
                self.report.still_running = still_running;
                self.report.missing = Output::ALL.map(|output| {
                    let Progress { base, received, .. } = self.outputs[output as usize];
                    self.report.lengths[output as usize].saturating_sub(base + received)
                });
                self.end(outcome, CloseCode::Done);
            }
            Reply::Denied {} => self.end(Outcome::Denied {}, CloseCode::Shutdown),
            Reply::NoJob {} => self.end(Outcome::Unknown {}, CloseCode::Shutdown),
            Reply::Unsupported { reason } => {
                self.report.note = Some(reason);
                self.end(Outcome::Denied {}, CloseCode::Shutdown);
            }
            Reply::Jobs { .. }
            | Reply::Pong { .. }
            | Reply::Registered { .. }
            | Reply::Joined { .. }
            | Reply::Said { .. }
            | Reply::Whispered { .. }
            | Reply::Came { .. }
            | Reply::Left { .. }
            | Reply::Delivered { .. }
            | Reply::Missed { .. }
            | Reply::Done {} => {}
        }
    }

    fn on_output(&mut self, output: Output, data: &[u8]) {
        self.outputs[output as usize].received += data.len() as u64;
        let lines = self.running.push(output, data);
        self.show(lines);
        self.grant(output);
    }

    /// Reports what was given away of an output as consumed.
    fn grant(&mut self, output: Output) {
        let held = self.running.held(output) as u64;
        let progress = &mut self.outputs[output as usize];
        let consumed = progress.received.saturating_sub(held);
        if consumed <= progress.consumed {
            return;
        }
        progress.consumed = consumed;
        let stream = StreamId::new(CALL, output.lane());
        let limit = consumed + INITIAL_STREAM_CREDIT;
        self.stream_event(StreamEvent::Writable {
            stream,
            consumed,
            limit,
        });
    }

    fn lose(&mut self, note: String) {
        self.report.note = Some(note);
        self.end(Outcome::Lost {}, CloseCode::Shutdown);
    }

    /// Ends the command for its user. [`CloseCode::Done`] acknowledges its result.
    fn end(&mut self, outcome: Outcome, code: CloseCode) {
        self.has_ended = true;
        self.report.outcome = Some(outcome);
        let words = words(&self.report, is_open(&self.report));
        let last = self.running.end(&self.report, &words);
        self.show(last.output);
        self.to_show
            .extend(last.notes.into_iter().map(ToShow::Note));
        self.stream_event(StreamEvent::Delivered {
            stream: StreamId::new(CALL, Lane::Control),
        });
        self.events.push_back(Event::Closed {
            session: self.session,
            reason: Closed::ByPeer {
                code: code as u64,
                reason: String::new(),
            },
        });
    }

    fn show(&mut self, lines: Vec<String>) {
        if let Some(ToShow::Output(before)) = self.to_show.back_mut() {
            before.extend(lines);
        } else if !lines.is_empty() {
            self.to_show.push_back(ToShow::Output(lines));
        }
    }

    fn send(&mut self, request: &Request) {
        let data = Bytes::from(to_line(request));
        let offset = self.sent;
        self.sent += data.len() as u64;
        self.stream_event(StreamEvent::Data {
            stream: StreamId::new(CALL, Lane::Control),
            offset,
            data,
            fin: false,
        });
    }

    fn stream_event(&mut self, event: StreamEvent) {
        let session = self.session;
        self.events.push_back(Event::Stream { session, event });
    }
}
