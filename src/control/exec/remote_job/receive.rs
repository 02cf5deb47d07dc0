//! Receiving half of a job: replies, output, and the end.

use bytes::Bytes;

use super::super::Output;
use super::attachment::{Asked, LaneEnd};
use super::{Action, Exit, Goal, JobRequest, RemoteJob, write};
use crate::message::{AfterSignal, CloseCode, Held, Outcome, Reply, StreamCode};
use crate::session::{Command, SessionHandle};
use crate::wire::limits::MAX_VARINT;
use crate::wire::{Lane, StreamId};

impl RemoteJob {
    pub(super) fn on_data(
        &mut self,
        session: SessionHandle,
        stream: StreamId,
        data: &Bytes,
        fin: bool,
    ) {
        let Some(index) = self.index(session) else {
            return;
        };
        if self.attachments[index].call != stream.call() {
            return;
        }
        self.contact.on_heard();
        match Output::of(stream.lane()) {
            None => self.on_control(index, data, fin),
            Some(output) => {
                if fin {
                    self.attachments[index].lanes[output as usize].end = Some(LaneEnd::Fin);
                }
                if self.attachments[index].accepted {
                    self.on_output(index, output, data);
                } else {
                    self.attachments[index].held.push((output, data.clone()));
                }
            }
        }
    }

    fn on_output(&mut self, index: usize, output: Output, data: &Bytes) {
        let lane = &mut self.attachments[index].lanes[output as usize];
        let start = lane.base.saturating_add(lane.received);
        lane.received = lane.received.saturating_add(data.len() as u64);
        let progress = &mut self.outputs[output as usize];
        // These bytes may have arrived in another attachment already.
        let known = progress.received.saturating_sub(start);
        let data = match usize::try_from(known) {
            Ok(known) if known < data.len() => data.slice(known..),
            _ => Bytes::new(),
        };
        if !data.is_empty() {
            let from = progress.received;
            progress.received = progress.received.saturating_add(data.len() as u64);
            if progress.abandoned {
                progress.written = progress.received;
            } else if self.goal == Goal::Result {
                self.queue_output(output, from, data);
            }
        }
        self.grant(output);
    }

    fn on_control(&mut self, index: usize, data: &Bytes, fin: bool) {
        let session = self.attachments[index].session;
        let call = self.attachments[index].call;
        self.command(Command::Consumed {
            session,
            stream: StreamId::new(call, Lane::Control),
            bytes: data.len() as u64,
        });
        self.attachments[index].lines.push(data);
        // A reply may end the attachment, or open its next call.
        while let Some(index) = self.index(session)
            && self.attachments[index].call == call
            && !self.ended
        {
            match self.attachments[index].lines.next::<Reply>() {
                Some(Ok(reply)) => self.on_reply(index, reply),
                Some(Err(error)) => {
                    let note = format!("a malformed reply: {error:?}");
                    self.drop_attachment(index, CloseCode::Violation);
                    self.give_up(Outcome::Lost {}, Some(note));
                }
                None => break,
            }
        }
        if fin
            && self.exit.is_none()
            && !self.ended
            && let Some(index) = self.index(session)
            && self.attachments[index].call == call
        {
            self.on_superseded(index);
        }
    }

    fn on_reply(&mut self, index: usize, reply: Reply) {
        if !is_plausible(&reply) {
            self.drop_attachment(index, CloseCode::Violation);
            let note = "the agent counts more bytes than there can be".into();
            return self.give_up(Outcome::Lost {}, Some(note));
        }
        match reply {
            Reply::Accepted {
                stdout,
                stderr,
                stdin,
                terminal,
                kept,
                screen,
                ..
            } if !self.attachments[index].accepted => {
                self.on_accepted(index, [stdout, stderr], screen.is_some());
                self.on_terminal((terminal, kept), screen, stdin);
                self.resume(stdin);
                for signal in std::mem::take(&mut self.signals) {
                    self.signal(signal);
                }
            }
            Reply::Started { pid, home } => {
                self.process = Some((pid, home));
                // A command that is being canceled is not left running.
                if self.goal == Goal::Detach && !self.cancel {
                    self.end(None);
                }
            }
            Reply::Exit {
                outcome: Outcome::Unknown {},
                ..
            } if self.attachments[index].asked == Asked::Probe => self.on_no_job(index),
            Reply::Exit {
                outcome,
                stdout,
                stderr,
                streams_open,
                cause,
                still_running,
            } => {
                self.exit = Some(Exit {
                    outcome,
                    lengths: [stdout, stderr],
                    streams_open,
                    cause,
                    still_running,
                });
                self.finish_if_whole();
                self.finish_if_broken();
            }
            Reply::Denied {} => self.end(Some(Outcome::Denied {})),
            Reply::NoJob {} => self.on_no_job(index),
            Reply::Unsupported { reason } => {
                self.note = Some(reason);
                self.end(Some(Outcome::Denied {}));
            }
            Reply::Accepted { .. }
            | Reply::Jobs { .. }
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

    /// Handles the offsets at which the lanes begin. If `painted`, a drawing of the screen replaces the gap in stdout.
    fn on_accepted(&mut self, index: usize, bases: [u64; 2], painted: bool) {
        let placed = std::mem::replace(&mut self.placed, true);
        for (output, base) in Output::ALL.into_iter().zip(bases) {
            let progress = &mut self.outputs[output as usize];
            let asked = match (&self.request, placed) {
                (JobRequest::Attach { stdout, stderr, .. }, false) => {
                    [*stdout, *stderr][output as usize].unwrap_or(base)
                }
                (JobRequest::Attach { .. }, true) | (JobRequest::Exec(_), _) => progress.received,
            };
            if !placed {
                progress.received = asked;
                progress.written = asked;
            }
            // A gap counts as received and written, because it is never sent.
            let gap = base.saturating_sub(asked);
            if gap > 0 && !(painted && output == Output::Stdout) {
                progress.missing = progress.missing.saturating_add(gap);
                self.actions.push_back(Action::Gap(output, asked, gap));
            }
            progress.received = progress.received.saturating_add(gap);
            progress.written = progress.written.saturating_add(gap);
            self.attachments[index].lanes[output as usize].base = base;
        }
        self.attachments[index].accepted = true;
        self.drop_other_attachments(index);
    }

    /// Resumes input and output on the attachment in use, now the first.
    fn resume(&mut self, stdin: u64) {
        let held = std::mem::take(&mut self.attachments[0].held);
        let stdin = match self.attachments[0].asked {
            Asked::Attach => stdin,
            // The lane begins with the first byte of stdin, and the agent skips those that it has taken.
            Asked::Nothing | Asked::Exec | Asked::Probe => 0,
        };
        self.resume_stdin(0, stdin);
        for output in Output::ALL {
            if self.outputs[output as usize].abandoned {
                self.stop(0, output);
            }
        }
        for (output, data) in held {
            self.on_output(0, output, &data);
        }
    }

    /// Sends again, on a new attachment, the bytes of stdin that the job has not taken.
    pub(super) fn resume_stdin(&mut self, index: usize, from: u64) {
        if self.attachments[index].stdin.is_some() || !self.input.is_open() {
            return;
        }
        if let Some((tail, fin)) = self.input.resume(from) {
            self.attachments[index].stdin = Some(from);
            let mut data = tail.concat();
            if !data.is_empty() || fin {
                let data = Bytes::from(std::mem::take(&mut data));
                let write = write(&self.attachments[index], Lane::Data, data, fin);
                self.command(write);
            }
        } else {
            // Reset the stream, so that the command sees an error instead of an end of input.
            self.input.close();
            let stream = self.attachments[index].stream(Lane::Data);
            self.command(Command::Reset {
                session: self.attachments[index].session,
                stream,
                code: StreamCode::Failed as u64,
            });
        }
    }

    /// Handles the reset of a lane by the agent.
    pub(super) fn on_reset(&mut self, session: SessionHandle, stream: StreamId) {
        let Some(index) = self.index(session) else {
            return;
        };
        if self.attachments[index].call != stream.call() {
            return;
        }
        match Output::of(stream.lane()) {
            None if self.exit.is_none() => self.on_superseded(index),
            None => {}
            Some(output) => {
                self.attachments[index].lanes[output as usize].end = Some(LaneEnd::Reset);
                self.finish_if_broken();
            }
        }
    }

    /// Asks the agent to stop an output that has no reader here.
    pub(super) fn stop(&mut self, attachment: usize, output: Output) {
        let stream = self.attachments[attachment].stream(output.lane());
        self.command(Command::Stop {
            session: self.attachments[attachment].session,
            stream,
            code: StreamCode::BrokenPipe as u64,
        });
    }

    /// Grants credit for what was written.
    pub(super) fn grant(&mut self, output: Output) {
        let written = self.outputs[output as usize].written;
        let grants: Vec<_> = self
            .attachments
            .iter_mut()
            .filter_map(|attachment| {
                let bytes = attachment.grant(output, written)?;
                Some(Command::Consumed {
                    session: attachment.session,
                    stream: attachment.stream(output.lane()),
                    bytes,
                })
            })
            .collect();
        for grant in grants {
            self.command(grant);
        }
    }

    /// Returns true if every byte of the result has been received.
    pub(super) fn all_received(&self) -> bool {
        self.exit.is_some_and(|exit| {
            std::iter::zip(&self.outputs, exit.lengths)
                .all(|(output, length)| output.abandoned || output.received >= length)
        })
    }

    /// Ends the job once the last byte is written.
    pub(super) fn finish_if_whole(&mut self) {
        let Some(exit) = self.exit.filter(|_| !self.ended) else {
            return;
        };
        if self.goal == Goal::Detach {
            // A result stays at the agent for a later attach. A canceled command is not left running.
            let row = exit.outcome.row();
            return self.end(match (row.held, row.after_signal) {
                (Held::Result, AfterSignal::Outcome) => None,
                (Held::Result, AfterSignal::Signal)
                | (Held::Nothing | Held::Unknown, AfterSignal::Outcome | AfterSignal::Signal) => {
                    Some(exit.outcome)
                }
            });
        }
        let written = std::iter::zip(&self.outputs, exit.lengths)
            .all(|(output, length)| output.abandoned || output.written >= length);
        if self.all_received() && !std::mem::replace(&mut self.flushed, true) {
            self.actions.push_back(Action::Flush);
        }
        if !self.all_received() || !written {
            return;
        }
        // The end of the control lane acknowledges the result.
        if let Some(attachment) = self.attachments.first() {
            let (session, call) = (attachment.session, attachment.call);
            let collected = write(attachment, Lane::Control, Bytes::new(), true);
            self.command(collected);
            self.command(Command::Release { session, call });
        }
        self.leave(Some(exit.outcome), CloseCode::Done);
    }

    /// Ends the job if a lane has ended before its last byte.
    pub(super) fn finish_if_broken(&mut self) {
        if self.ended || self.attachments.len() != 1 {
            return;
        }
        let Some(exit) = self.exit else { return };
        let lanes = &self.attachments[0].lanes;
        let broken = Output::ALL.into_iter().any(|output| {
            let progress = &self.outputs[output as usize];
            !progress.abandoned
                && progress.received < exit.lengths[output as usize]
                && lanes[output as usize].end.is_some()
        });
        if broken {
            self.give_up(
                Outcome::Lost {},
                Some("the agent has given up its output".into()),
            );
        }
    }
}

/// Returns true if the offsets of a reply are within the range of a stream.
const fn is_plausible(reply: &Reply) -> bool {
    let offsets = match *reply {
        Reply::Accepted {
            stdout,
            stderr,
            stdin,
            ..
        } => [stdout, stderr, stdin],
        Reply::Exit { stdout, stderr, .. } => [stdout, stderr, 0],
        Reply::Started { .. }
        | Reply::Jobs { .. }
        | Reply::Pong { .. }
        | Reply::Registered { .. }
        | Reply::Joined { .. }
        | Reply::Said { .. }
        | Reply::Whispered { .. }
        | Reply::Came { .. }
        | Reply::Left { .. }
        | Reply::Delivered { .. }
        | Reply::Missed { .. }
        | Reply::Denied {}
        | Reply::Done {}
        | Reply::NoJob {}
        | Reply::Unsupported { .. } => [0; 3],
    };
    offsets[0] <= MAX_VARINT && offsets[1] <= MAX_VARINT && offsets[2] <= MAX_VARINT
}
