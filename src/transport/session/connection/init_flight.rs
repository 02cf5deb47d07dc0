//! An INIT on its way, and the RESP that answers it.

use crate::crypto::{Initiator, TrafficKeys};
use crate::time::Instant;
use crate::wire::{Frame, Frames, Hello, Resp, SessionId};

/// An outstanding INIT.
pub(super) struct InitFlight {
    pub(super) id: SessionId,
    pub(super) initiator: Initiator,
    pub(super) datagram: Vec<u8>,
    pub(super) created: Instant,
    pub(super) repeats: u32,
}

/// Content of a RESP.
pub(super) struct OpenedResp {
    pub(super) keys: TrafficKeys,
    pub(super) hello: Hello,
    /// Frames behind the HELLO.
    pub(super) payload: Vec<u8>,
}

impl InitFlight {
    /// Opens a RESP to this INIT. `None` if it is forged.
    pub(super) fn open_resp(&mut self, resp: &Resp<'_>) -> Option<OpenedResp> {
        let mut payload = Vec::new();
        let keys = self.initiator.finish(resp.noise, &mut payload).ok()?;
        let mut frames = Frames::new(&payload);
        let Some(Ok(Frame::Hello(hello))) = frames.next() else {
            return None;
        };
        if hello.session != resp.sender {
            return None;
        }
        let payload = frames.rest().to_vec();
        Some(OpenedResp {
            keys,
            hello,
            payload,
        })
    }
}
