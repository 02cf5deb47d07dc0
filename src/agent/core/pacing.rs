//! Requests of the chat that come too fast: their calls are held until their key may say more.
//!
//! While a call is held, its further lines stay unread and their bytes give no credit, so that the controller stops sending.
//! Invariants: no line of a held call is lost or overtakes another; the calls of a key are continued in the order in which they were held; what a held call keeps is bounded by the credit of its
//! control lane and one request.

use super::Service;
use super::session_state::CallKind;
use crate::agent::access::PolicySource;
use crate::agent::jobs::Processes;
use crate::agent::outbox::CallRef;
use crate::crypto::PublicKey;
use crate::message::Request;
use crate::time::Instant;
use crate::wire::Lane;

/// Returns the number of bytes that a request adds to the chat, if it is a part of it.
const fn chat_bytes(request: &Request) -> Option<usize> {
    match request {
        Request::Say { text, .. } => Some(text.len()),
        Request::Whisper { to, text, .. } => Some(to.len() + text.len()),
        // The others are told of it.
        Request::Chat { .. } => Some(0),
        Request::Exec(_)
        | Request::Forward(_)
        | Request::Copy(_)
        | Request::Attach { .. }
        | Request::Jobs { .. }
        | Request::Wait { .. }
        | Request::Signal { .. }
        | Request::Cancel {}
        | Request::Resize(_)
        | Request::Ping {}
        | Request::Register { .. } => None,
    }
}

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Returns the request if it may be processed now. Otherwise its call is held.
    pub(super) fn pace(
        &mut self,
        now: Instant,
        call: CallRef,
        request: Request,
    ) -> Option<Request> {
        let Some(bytes) = chat_bytes(&request) else {
            return Some(request);
        };
        let Some(state) = self.sessions.get_mut(&call.session) else {
            return Some(request);
        };
        let controller = &state.controller;
        let Some(open) = state.calls.get_mut(&call.call) else {
            return Some(request);
        };
        let is_chat = match open.kind {
            CallKind::Unopened | CallKind::Chat => controller.name.is_some(),
            CallKind::Jobs | CallKind::Answered => false,
        };
        if !is_chat {
            return Some(request);
        }
        let key = controller.key;
        let paced = match self.held.of_key(key) {
            Some(again) => Err(again),
            None => self.chat.pace(now, key, bytes),
        };
        match paced {
            Ok(()) => Some(request),
            Err(again) => {
                open.held = Some(Box::new(request));
                let sessions = &self.sessions;
                let waits = |other: CallRef| {
                    let open = sessions.get(&other.session)?.calls.get(&other.call)?;
                    open.held.as_ref()
                };
                self.held
                    .push(key, again, call, |other| waits(other).is_some());
                None
            }
        }
    }

    /// Continues the calls whose keys may say more.
    pub(super) fn release_held(&mut self, now: Instant) {
        while let Some((key, call)) = self.held.pop(now) {
            self.resume(now, key, call);
        }
    }

    fn resume(&mut self, now: Instant, key: PublicKey, call: CallRef) {
        // A call of a removed key is gone.
        let Some(open) = self.open_call(call) else {
            return;
        };
        let Some(held) = open.held.take() else {
            return;
        };
        let bytes = chat_bytes(&held).unwrap_or(0);
        if let Err(again) = self.chat.pace(now, key, bytes) {
            if let Some(open) = self.open_call(call) {
                open.held = Some(held);
            }
            return self.held.push_front(key, again, call);
        }
        let request = *held;
        self.on_request(now, call, request);
        self.take_lines(now, call);
        if let Some(open) = self.open_call(call).filter(|open| open.held.is_none()) {
            let (bytes, fin) = (open.unconsumed, open.fin);
            open.unconsumed = 0;
            if bytes > 0 {
                self.outbox.consumed(call, Lane::Control, bytes);
            }
            if fin {
                self.on_fin(now, call);
            }
        }
        self.count_usage(now, call.session);
    }
}
