//! The chat room: members of sessions, the agent's own terminal, plain-text peers.

use super::directory::Member;
use super::outbox::{CallRef, Outbox};
use crate::message::{Reply, Request};
use crate::time::Instant;

/// The members present, and what passes between them.
#[derive(Default, Debug)]
pub struct Chat {}

impl Chat {
    /// A call was opened with `chat` or `say`.
    pub fn on_call(
        &mut self,
        _now: Instant,
        from: CallRef,
        _member: &Member,
        _request: Request,
        outbox: &mut Outbox,
    ) {
        let reason = "chat".into();
        outbox.last_reply(from, &Reply::Unsupported { reason });
    }

    /// A further line came in a call of this room.
    pub fn on_line(
        &mut self,
        _now: Instant,
        _from: CallRef,
        _request: Request,
        _outbox: &mut Outbox,
    ) {
    }

    /// A call of this room has ended at the controller's side, or its session is over. Its last reply
    /// can still be sent when the session stands.
    pub fn on_gone(&mut self, _now: Instant, _call: CallRef, _outbox: &mut Outbox) {}
}
