//! HELLO: the first frame of INIT and of RESP.
//!
//! Not here: the check of an epoch or an invite. Invariant: the size depends only on the presence
//! of an invite.

use std::time::Duration;

use super::limits::INVITE;
use super::{Malformed, Reader, SessionId};
use crate::time::micros;

/// Flags of HELLO.
const EARLY_REFUSED: u8 = 1;
const HAS_INVITE: u8 = 2;

/// Outcome of the early data: the frames that came inside INIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Early {
    /// Processed, or there were none.
    Accepted = 0,
    /// Not processed: the controller sends them again in the session.
    Refused = 1,
}

/// The parameters that the two ends exchange first.
///
/// Layout: epoch 8, agent time (µs) 8, session id 8, flags 1 (bit 0: early data refused; bit 1: an
/// invite follows), invite 16 if flagged. The widths are fixed, so that the first datagram has one
/// size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Epoch of the agent. In INIT the epoch that the controller remembers, or 0.
    pub epoch: u64,
    /// Time since the start of the agent. In INIT the controller's estimate of it.
    pub agent_time: Duration,
    /// Session id of the sender, repeated under encryption. An INIT or RESP whose clear id differs
    /// is forged.
    pub session: SessionId,
    /// In RESP the outcome of the early data. In INIT always `Accepted`.
    pub early: Early,
    /// In INIT the token of an invitation, for a key that the agent does not know.
    pub invite: Option<[u8; INVITE]>,
}

impl Hello {
    /// Size without the invite.
    const FIXED: usize = 8 + 8 + 8 + 1;

    /// Size after the frame type.
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
