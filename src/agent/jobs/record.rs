//! Log notes and audit records of jobs.
//!
//! Not the decisions. Invariant: `accepted` is recorded before anything is started, `ended` follows once, and
//! every refused request is recorded as `denied`.

use super::refusal::Refusal;
use super::{JobId, Jobs, Processes, requests};
use crate::agent::access::{Controller, Grant};
use crate::agent::audit::{Command, Event, Record, Unwritten};
use crate::agent::note::Note;
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Exec, Outcome};

impl<P: Processes> Jobs<P> {
    /// Records a command that may run, before anything is done for it.
    pub(super) fn record_acceptance(
        &mut self,
        controller: &Controller,
        exec: &Exec,
        grant: &Grant,
    ) -> Result<(), Unwritten> {
        let command = Command::of(exec, Some(&grant.user));
        self.audit.put(&Record {
            key: controller.key,
            name: controller.name.as_deref(),
            address: controller.remote,
            request: exec.id,
            event: Event::Accepted(command),
        })
    }

    /// Records an event of a job. A failure is ignored, because the event has happened.
    pub(super) fn record(&mut self, id: JobId, event: Event<'_>) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let owner = &job.owner;
        let _ = self.audit.put(&Record {
            key: owner.key,
            name: owner.name.as_deref(),
            address: owner.remote,
            request: job.request,
            event,
        });
    }

    /// Notes that a command was accepted, before it is started.
    pub(super) fn announce(&mut self, id: JobId) {
        let job = self.table.get(id).expect("the caller has entered the job");
        self.notes.push_back(Note::Accepted {
            id: job.request,
            key: job.owner.key,
            argv: job.argv.clone(),
        });
    }

    /// Notes and records the end of a job.
    pub(super) fn report(&mut self, id: JobId, outcome: Outcome) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let [stdout, stderr] = [job.outputs[0].end(), job.outputs[1].end()];
        let cause = job.cause;
        self.notes.push_back(Note::Ended {
            id: job.request,
            key: job.owner.key,
            outcome,
            stdout,
            stderr,
        });
        self.record(
            id,
            Event::Ended {
                outcome,
                cause,
                stdout,
                stderr,
            },
        );
    }

    /// Answers a request that starts nothing, and records it.
    pub fn refuse(
        &mut self,
        call: CallRef,
        controller: &Controller,
        exec: &Exec,
        refusal: Refusal,
        outbox: &mut Outbox,
    ) {
        let Refusal { outcome, denied } = refusal;
        self.notes.push_back(Note::Refused {
            id: exec.id,
            key: controller.key,
            outcome,
            denied,
        });
        let command = Command::of(exec, exec.user.as_deref());
        // The request is refused even if it cannot be recorded.
        let _ = self.audit.put(&Record {
            key: controller.key,
            name: controller.name.as_deref(),
            address: controller.remote,
            request: exec.id,
            event: Event::Denied { outcome, command },
        });
        requests::send_refusal(call, outcome, outbox);
    }
}
