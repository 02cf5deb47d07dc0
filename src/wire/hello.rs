//! HELLO: the first frame of INIT and of RESP.
//!
//! Not here: what an epoch or an invite is worth. Invariant: its size depends on nothing but whether
//! an invite is there.

use std::time::Duration;

use super::limits::INVITE;
use super::{Malformed, Reader, SessionId};
use crate::time::micros;

/// Flags of HELLO.
const EARLY_REFUSED: u8 = 1;
const HAS_INVITE: u8 = 2;

/// What became of the frames that came inside INIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Early {
    /// Taken, or there were none.
    Accepted = 0,
    /// Not taken: to be sent again in the session.
    Refused = 1,
}

/// What the two ends tell each other first.
///
/// Layout: epoch 8, agent time (µs) 8, session id 8, flags 1 (bit 0: early refused; bit 1: an invite
/// follows), invite 16 if flagged. Fixed widths, so that a first flight has one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The agent's epoch: in INIT the one the controller remembers, 0 for none.
    pub epoch: u64,
    /// The agent's time: in INIT as the controller reckons it. Since the agent's start.
    pub agent_time: Duration,
    /// The sender's id, again, under the seal. An INIT or RESP whose clear id differs is forged.
    pub session: SessionId,
    /// In RESP: what became of the early frames. In INIT: always `Accepted`.
    pub early: Early,
    /// In INIT: proof of an invitation, for a key that the agent does not know.
    pub invite: Option<[u8; INVITE]>,
}

impl Hello {
    /// Bytes besides the invite.
    const FIXED: usize = 8 + 8 + 8 + 1;

    /// Bytes behind the frame type.
    pub(super) fn size(&self) -> usize {
        Self::FIXED + self.invite.map_or(0, |token| token.len())
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let epoch = reader.u64()?;
        let agent_time = Duration::from_micros(reader.u64()?);
        let session = SessionId(reader.u64()?);
        let flags = reader.u8()?;
        if flags & !(EARLY_REFUSED | HAS_INVITE) != 0 {
            return Err(Malformed::Range);
        }
        let early = if flags & EARLY_REFUSED == 0 {
            Early::Accepted
        } else {
            Early::Refused
        };
        let invite = if flags & HAS_INVITE == 0 {
            None
        } else {
            Some(*reader.array()?)
        };
        Ok(Self {
            epoch,
            agent_time,
            session,
            early,
            invite,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let early = match self.early {
            Early::Accepted => 0,
            Early::Refused => EARLY_REFUSED,
        };
        let invite = self.invite.map_or(0, |_| HAS_INVITE);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&micros(self.agent_time).to_be_bytes());
        out.extend_from_slice(&self.session.0.to_be_bytes());
        out.push(early | invite);
        out.extend_from_slice(self.invite.as_ref().map_or(&[], |token| token));
    }
}
