//! Log notes and audit records of jobs.
//!
//! Not the decisions. Invariant: `accepted` is recorded before anything is started, `ended` follows once, and
//! every refused request is recorded as `denied`.

use super::refusal::Refusal;
use super::replies;
use super::{JobId, Jobs, Processes};
use crate::agent::access::{Controller, Denied, Grant};
use crate::agent::audit::{Command, Event, Record, Unwritten};
use crate::agent::note::Note;
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Exec, Outcome, RequestId};

impl<P: Processes> Jobs<P> {
    /// Records a command that may run, before anything is done for it.
    pub(super) fn record_acceptance(
        &mut self,
        controller: &Controller,
        exec: &Exec,
        grant: &Grant,
    ) -> Result<(), Unwritten> {
        let command = Command::of(exec, Some(&grant.user));
        let event = Event::Accepted(command);
        self.audit
            .put(&Record::of_request(controller, exec.id, event))
    }

    /// Records what a controller has done to a job. A failure is ignored, because it has happened.
    pub(super) fn record_by(&mut self, controller: &Controller, id: JobId, event: Event<'_>) {
        if let Some(job) = self.table.get(id) {
            let record = Record::of_request(controller, job.request, event);
            let _ = self.audit.put(&record);
        }
    }

    /// Records an event of a job. A failure is ignored, because the event has happened.
    pub(super) fn record(&mut self, id: JobId, event: Event<'_>) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let record = Record::of_request(&job.owner, job.request, event);
        let _ = self.audit.put(&record);
    }

    /// Records an event that concerns no command.
    pub fn record_other(&mut self, record: &Record<'_>) {
        let _ = self.audit.put(record);
    }

    /// Records that an invitation was redeemed.
    pub fn record_registration(&mut self, controller: &Controller) {
        self.record_other(&Record::of_controller(controller, Event::Registered {}));
    }

    /// Records a request that asks for no command and is denied.
    pub fn record_denial(&mut self, controller: &Controller, denied: &Denied) {
        let event = Event::Denied {
            outcome: Outcome::Denied {},
            reason: Some(denied.to_string()),
            command: None,
        };
        self.record_other(&Record::of_controller(controller, event));
    }

    /// Records a request about a job of another key that is denied, and notes it.
    pub(super) fn record_administration_denied(
        &mut self,
        controller: &Controller,
        request: RequestId,
        denied: Denied,
    ) {
        let outcome = Outcome::Denied {};
        let event = Event::Denied {
            outcome,
            reason: Some(denied.to_string()),
            command: None,
        };
        self.record_other(&Record::of_request(controller, request, event));
        self.notes.push_back(Note::Refused {
            id: request,
            controller: controller.clone(),
            outcome,
            denied: Some(denied),
        });
    }

    /// Notes that a command was accepted, before it is started.
    pub(super) fn announce(&mut self, id: JobId) {
        let job = self.table.get(id).expect("the caller has entered the job");
        self.notes.push_back(Note::Accepted {
            id: job.request,
            controller: job.owner.clone(),
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
            controller: job.owner.clone(),
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
        let reason = denied.as_ref().map(ToString::to_string);
        let kind = denied.as_ref().and_then(Denied::kind);
        self.notes.push_back(Note::Refused {
            id: exec.id,
            controller: controller.clone(),
            outcome,
            denied,
        });
        let command = Command::of(exec, exec.user.as_deref());
        let event = Event::Denied {
            outcome,
            reason,
            command: Some(command),
        };
        // The request is refused even if it cannot be recorded.
        let _ = self
            .audit
            .put(&Record::of_request(controller, exec.id, event));
        replies::send_refusal(call, outcome, kind, outbox);
    }
}
