//! HELLO: the first frame of INIT and of RESP.
//!
//! Not here: the check of an epoch or an invite. Invariant: the size depends only on the presence
//! of an invite and of a reset token. Parameters that a later version adds are ignored.

use std::time::Duration;

use super::limits::{INVITE, RESET_TOKEN};
use super::{Malformed, Reader, SessionId, VarInt};
use crate::time::micros;

/// Flags of HELLO.
const EARLY_REFUSED: u8 = 1;
const HAS_INVITE: u8 = 2;
const HAS_PARAMETERS: u8 = 4;

/// Id of the parameter that holds the reset token.
const RESET_TOKEN_ID: u64 = 1;

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
/// invite follows; bit 2: parameters follow), invite 16 if flagged, parameters if flagged: their size,
/// then for each an id, a size and as many octets. The widths before them are fixed, so that the first
/// datagram has one size.
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
    /// In RESP the token of a stateless reset of the session.
    pub reset_token: Option<[u8; RESET_TOKEN]>,
}

impl Hello {
    /// Size without invite and parameters.
    const FIXED: usize = 8 + 8 + 8 + 1;

    /// Size of the parameter that holds the reset token: id, size, octets.
    const RESET_TOKEN_PARAMETER: usize = 1 + 1 + RESET_TOKEN;

    /// Size after the frame type.
    pub(super) fn size(&self) -> usize {
        let parameters = self
            .reset_token
            .map_or(0, |_| 1 + Self::RESET_TOKEN_PARAMETER);
        Self::FIXED + self.invite.map_or(0, |token| token.len()) + parameters
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let epoch = reader.u64()?;
        let agent_time = Duration::from_micros(reader.u64()?);
        let session = SessionId(reader.u64()?);
        let flags = reader.u8()?;
        if flags & !(EARLY_REFUSED | HAS_INVITE | HAS_PARAMETERS) != 0 {
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
        let reset_token = if flags & HAS_PARAMETERS == 0 {
            None
        } else {
            let size = reader.varint()?;
            decode_parameters(take(reader, size)?)?
        };
        Ok(Self {
            epoch,
            agent_time,
            session,
            early,
            invite,
            reset_token,
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
        let parameters = self.reset_token.map_or(0, |_| HAS_PARAMETERS);
        out.push(early | invite | parameters);
        out.extend_from_slice(self.invite.as_ref().map_or(&[], |token| token));
        if let Some(token) = &self.reset_token {
            VarInt(Self::RESET_TOKEN_PARAMETER as u64).encode(out);
            VarInt(RESET_TOKEN_ID).encode(out);
            VarInt(RESET_TOKEN as u64).encode(out);
            out.extend_from_slice(token);
        }
    }
}

fn take<'a>(reader: &mut Reader<'a>, size: u64) -> Result<&'a [u8], Malformed> {
    reader.take(usize::try_from(size).map_err(|_| Malformed::Truncated)?)
}

/// Returns the reset token, if it is among the parameters. Unknown ones are ignored.
fn decode_parameters(bytes: &[u8]) -> Result<Option<[u8; RESET_TOKEN]>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut reset_token = None;
    while !reader.is_empty() {
        let (id, size) = (reader.varint()?, reader.varint()?);
        let value = take(&mut reader, size)?;
        if id == RESET_TOKEN_ID {
            let token = value.try_into().map_err(|_| Malformed::Range)?;
            if reset_token.replace(token).is_some() {
                return Err(Malformed::Range);
            }
        }
    }
    Ok(reset_token)
}
