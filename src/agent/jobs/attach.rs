//! Attachment of a call to a job: its offsets, the held output, and the watch over its session.
//!
//! Invariant: one call is attached to a job, the newest.

use std::time::Duration;

use super::job::{Attachment, Begin};
use super::replies;
use super::{JobId, Jobs, Output, Processes, Role, lane_of};
use crate::agent::access::Controller;
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::OnDisconnect;
use crate::session::{Command, SessionHandle};

impl<P: Processes> Jobs<P> {
    /// Attaches a call to a job and sends it the held output. Its output lanes start at `begin`: what is before that
    /// counts as consumed, because a controller that has everything of a full buffer consumes nothing more. Its data
    /// lane is at offset `stdin` of stdin.
    pub(super) fn attach(
        &mut self,
        call: CallRef,
        controller: &Controller,
        id: JobId,
        begin: Begin,
        stdin: Option<u64>,
        outbox: &mut Outbox,
    ) {
        let Some(before) = self.table.get(id).map(|job| job.attached) else {
            return;
        };
        if let Some(before) = before
            && self.calls.remove(&before.call).is_some()
        {
            outbox.release(before.call);
        }
        self.note_taken_from_prompt(id, controller);
        self.calls.insert(call, Role::Attached(id));
        let mut screen = None;
        self.table.update(id, |job| {
            let wanted = match begin {
                Begin::At([stdout, _]) => stdout,
                Begin::Held => None,
            };
            let begin = Output::ALL.map(|output| {
                let held = &job.outputs[output as usize];
                match begin {
                    Begin::At(at) => at[output as usize]
                        .unwrap_or(held.consumed())
                        .clamp(held.start(), held.end()),
                    Begin::Held if job.retain => held.start(),
                    Begin::Held => held.consumed(),
                }
            });
            let begin = match &job.screen {
                // The snapshot of the screen replaces the output before it.
                Some(emulation) if wanted != Some(begin[0]) && job.outputs[0].end() > 0 => {
                    screen = Some(emulation.painted());
                    [job.outputs[0].end(), begin[1]]
                }
                Some(_) | None => begin,
            };
            for (output, offset) in Output::ALL.into_iter().zip(begin) {
                job.output(output).consume(offset);
            }
            job.attached = Some(Attachment {
                call,
                begin,
                delivered: false,
                ended_early: false,
            });
            job.absent = None;
            job.stdin.attach(stdin.unwrap_or(job.stdin.taken()));
        });
        let job = self.table.get(id).expect("the job was updated above");
        let begin = job
            .attached
            .expect("the update above has attached it")
            .begin;
        let ends = [job.outputs[0].end(), job.outputs[1].end()];
        replies::send_accepted(call, job, begin, screen, outbox);
        for output in Output::ALL {
            let (from, to) = (begin[output as usize], ends[output as usize]);
            if from < to {
                for piece in self.processes.output(id, output, from, to) {
                    outbox.write(call, lane_of(output), piece, false);
                }
            }
            self.release(id, output);
        }
        let job = self.table.get(id).expect("the job was updated above");
        replies::send_exit(call, job, outbox);
        if job.on_disconnect == OnDisconnect::Kill && job.is_running() {
            let lease = job.lease;
            self.watch(call.session, lease, outbox);
        }
    }

    /// Keeps for a later agent that another controller attaches to a job of the prompt: its prompt leaves the job alone,
    /// because the bytes that this controller has not consumed are not to be released.
    fn note_taken_from_prompt(&mut self, id: JobId, controller: &Controller) {
        let is_first = self.table.get(id).is_some_and(|job| {
            job.owner.is_at_prompt() && !controller.is_at_prompt() && !job.taken_from_prompt
        });
        if is_first {
            self.table.update(id, |job| job.taken_from_prompt = true);
            self.processes.take_from_prompt(id);
        }
    }

    /// Asks the session layer to report a silence of `lease`, unless a shorter one is watched for.
    fn watch(&mut self, session: SessionHandle, lease: Duration, outbox: &mut Outbox) {
        let watched = self.watched.entry(session).or_insert(Duration::MAX);
        if lease < *watched {
            *watched = lease;
            // The session's own keepalive is too slow to distinguish silence from idleness.
            let ping = (lease < limits::LEASE).then_some(lease / 3);
            outbox.push(Command::Watch {
                session,
                silence: lease,
                ping,
            });
        }
    }
}
