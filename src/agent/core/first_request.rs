//! The first request of a call, which decides what the call is about.
//!
//! Invariant: a key that is not listed only registers.

use super::Service;
use super::session_state::CallKind;
use crate::agent::access::{Controller, Denied, PolicySource};
use crate::agent::jobs::Processes;
use crate::agent::outbox::CallRef;
use crate::message::{Exec, Reply, Request};
use crate::time::Instant;

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Processes the first line of a call.
    pub(super) fn on_first(&mut self, now: Instant, call: CallRef, request: Request) {
        let Some(state) = self.sessions.get(&call.session) else {
            return;
        };
        let controller = state.controller.clone();
        let kind = match request {
            Request::Register { name } => {
                self.register(call, &controller, state.invite, &name);
                CallKind::Answered
            }
            Request::Exec(exec) if controller.name.is_none() => {
                self.refuse_unlisted(call, &controller, &exec)
            }
            Request::Forward(forward) if controller.name.is_none() => {
                self.refuse_unlisted(call, &controller, &forward.into())
            }
            Request::Copy(copy) if controller.name.is_none() => {
                self.refuse_unlisted(call, &controller, &copy.into())
            }
            Request::Ping {}
            | Request::Attach { .. }
            | Request::Jobs { .. }
            | Request::Wait { .. }
            | Request::Signal { .. }
            | Request::Chat { .. }
            | Request::Say { .. }
            | Request::Whisper { .. }
            | Request::Cancel {}
            | Request::Resize(_)
                if controller.name.is_none() =>
            {
                self.jobs.record_denial(&controller, &Denied::NotListed);
                self.answer(call, &Reply::Denied {})
            }
            Request::Ping {} => {
                let name = self.name.clone();
                let version = env!("CARGO_PKG_VERSION").into();
                self.answer(call, &Reply::Pong { name, version })
            }
            Request::Exec(_)
            | Request::Forward(_)
            | Request::Copy(_)
            | Request::Attach { .. }
            | Request::Jobs { .. }
            | Request::Wait { .. }
            | Request::Signal { .. } => {
                let policy = &self.policy;
                let outbox = &mut self.outbox;
                self.jobs
                    .on_call(now, call, &controller, request, policy, outbox);
                CallKind::Jobs
            }
            // A member that waits for an agent asks the next one.
            Request::Chat { .. } if self.is_delivering() => CallKind::Unopened,
            Request::Chat { .. } | Request::Say { .. } => {
                self.chat
                    .on_call(now, call, &controller, request, &mut self.outbox);
                CallKind::Chat
            }
            Request::Cancel {} | Request::Resize(_) | Request::Whisper { .. } => {
                let reason = "not at the beginning of a call".into();
                self.answer(call, &Reply::Unsupported { reason })
            }
        };
        let Some(open) = self.open_call(call) else {
            return;
        };
        open.kind = kind;
        for input in std::mem::take(&mut open.early) {
            self.on_data_lane(call, input);
        }
    }

    /// Refuses a job of a key that is not listed.
    fn refuse_unlisted(&mut self, call: CallRef, controller: &Controller, exec: &Exec) -> CallKind {
        let refusal = Denied::NotListed.into();
        self.jobs
            .refuse(call, controller, exec, refusal, &mut self.outbox);
        CallKind::Answered
    }
}
