//! What the room says of its jobs to the log and to the record.
//!
//! Not what is decided. Invariant: `accepted` is on record before anything is started, `ended` follows
//! once, and what was refused is `denied`.

use super::{JobId, Jobs, Processes, requests};
use crate::agent::access::policy_source::{Member, Permission};
use crate::agent::audit::{Command, Event, Record, Unwritten};
use crate::agent::note::Note;
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Exec, Outcome};

impl<P: Processes> Jobs<P> {
    /// A command may run, and nothing of it has been done.
    pub(super) fn record_acceptance(
        &mut self,
        member: &Member,
        exec: &Exec,
        permission: &Permission,
    ) -> Result<(), Unwritten> {
        let command = Command::of(exec, Some(&permission.user));
        self.audit.put(&Record {
            key: member.key,
            name: member.name.as_deref(),
            address: member.remote,
            request: exec.id,
            event: Event::Accepted(command),
        })
    }

    /// Something has happened to a job: that it could not be put on record does not undo it.
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

    /// The one place through which every command goes after it was accepted and before it is started.
    pub(super) fn announce(&mut self, id: JobId) {
        let job = self.table.get(id).expect("just entered");
        self.notes.push_back(Note::Accepted {
            id: job.request,
            key: job.owner.key,
            argv: job.argv.clone(),
        });
    }

    /// How a job ended.
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

    /// Starts nothing, and says so.
    pub fn deny(
        &mut self,
        call: CallRef,
        member: &Member,
        exec: &Exec,
        outcome: Outcome,
        outbox: &mut Outbox,
    ) {
        self.notes.push_back(Note::Refused {
            id: exec.id,
            key: member.key,
            outcome,
        });
        let command = Command::of(exec, exec.user.as_deref());
        // It is refused whether that is on record or not.
        let _ = self.audit.put(&Record {
            key: member.key,
            name: member.name.as_deref(),
            address: member.remote,
            request: exec.id,
            event: Event::Denied { outcome, command },
        });
        requests::refuse(call, outcome, outbox);
    }
}
