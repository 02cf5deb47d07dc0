//! Refused starts: the answer to the front, the log line and the record. The same of a copy that was refused a path.
//!
//! Not the decision. Invariant: every refusal of a request that a front may make is recorded as `denied`, as far as
//! anything can be recorded.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::Supervisor;
use super::records::Records;
use crate::agent::access::{Controller, Denied};
use crate::agent::audit::{Command, Event, Record};
use crate::agent::jobs::{JobId, Phase, Refusal, Start, Status};
use crate::agent::note::Note;
use crate::agent::services;
use crate::message::{Exec, OsText, Outcome, RequestId};
use crate::process::{self, Executable, User};

impl Supervisor {
    /// Refuses a job, and records that. Nothing is kept of it.
    pub(super) fn refuse(
        &mut self,
        id: JobId,
        owner: &Controller,
        request: RequestId,
        refusal: &Refusal,
        command: Option<Command<'_>>,
    ) {
        let (key, outcome) = (owner.key, refusal.outcome);
        if let Some(reason) = &refusal.denied {
            tracing::info!(event = "denied", %key, %request, "denied: {reason}");
        }
        let event = Event::Denied {
            outcome,
            reason: refusal.denied.as_ref().map(ToString::to_string),
            command,
        };
        self.records.counts.denied();
        self.records
            .send(&Record::of_request(owner, request, event));
        self.report_refusal(id, outcome);
    }

    /// Reports that a job will not be started.
    pub(super) fn report_refusal(&mut self, id: JobId, outcome: Outcome) {
        let status = Status {
            phase: Phase::Refused(outcome),
            ..Status::STARTING
        };
        self.report(id, status);
    }

    /// Refuses a job because nothing can run as its user, or within its limits. The controller is told only that it is
    /// denied.
    pub(super) fn deny(&mut self, id: JobId, reason: &dyn std::fmt::Display) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let outcome = Outcome::Denied {};
        job.status.phase = Phase::Refused(outcome);
        job.io.close(&self.registry);
        let (key, request) = (job.owner.key, job.request);
        tracing::info!(event = "denied", %key, %request, "denied: {reason}");
        let event = Event::Denied {
            outcome,
            reason: Some(reason.to_string()),
            command: None,
        };
        self.records.counts.denied();
        self.records
            .send(&Record::of_request(&job.owner, job.request, event));
        self.note(id);
    }
}

impl Records {
    /// Records and logs that a copy was refused a path by its own process, which alone follows symbolic links.
    pub(super) fn copy_denied(&mut self, owner: &Controller, request: RequestId) {
        let (outcome, denied) = (Outcome::Denied {}, Denied::CopyPath);
        let event = Event::Denied {
            outcome,
            reason: Some(denied.to_string()),
            command: None,
        };
        self.send(&Record::of_request(owner, request, event));
        self.counts.write(&Note::Refused {
            id: request,
            controller: owner.clone(),
            outcome,
            denied: Some(denied),
        });
    }
}

/// Returns the request that a start was made of, as far as a policy looks at it.
pub(super) fn request_of(start: &Start) -> Exec {
    let spec = &start.spec;
    let mut exec = spec.program.request(start.request);
    exec.env = spec
        .env
        .iter()
        .map(|(name, value)| (OsText::from(name.clone()), OsText::from(value.clone())))
        .collect();
    exec.cwd = spec.cwd.clone().map(OsText::from);
    exec.user = Some(spec.user.clone());
    exec.terminal.clone_from(&spec.terminal);
    exec
}

/// Returns the request that a process was specified by, as far as it is recorded.
pub(super) fn request_of_spec(request: RequestId, spec: &process::Spec) -> Exec {
    let mut exec = match services::requested(&spec.argv) {
        Some((service, _)) if spec.executable == Executable::Own => {
            Exec::of_service(request, service)
        }
        Some(_) | None => Exec::new(
            request,
            spec.argv.iter().cloned().map(OsText::from).collect(),
        ),
    };
    let text = |text: &OsString| OsText::from(text.clone());
    let variables = spec.variables.iter();
    exec.env = variables
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    exec.cwd = spec
        .cwd
        .clone()
        .map(|cwd| OsText::from(cwd.into_os_string()));
    let script = spec.executable.script();
    exec.script = script.map(|text| OsText::from(OsString::from_vec(text.to_vec())));
    exec.user = Some(match &spec.user {
        User::Own(account) => account.name.to_string_lossy().into_owned(),
        User::Named(name) => name.clone(),
    });
    exec
}
