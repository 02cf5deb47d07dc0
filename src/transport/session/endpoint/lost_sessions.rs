//! Sessions of an earlier endpoint: each is reset at once, and again when a datagram for it arrives.
//!
//! Invariants: the controller of a session is sent at most one reset without being asked, and otherwise one
//! for a larger datagram from the same address, at most once per [`limits::RESET_INTERVAL`]; nothing is sent
//! for an id that is in no record; after [`limits::IDLE`] all records are forgotten, because every controller
//! has then given its session up.

use std::collections::{HashMap, VecDeque};

use crate::crypto::ResetToken;
use crate::session::{Path, ResetRecord, limits};
use crate::time::Instant;
use crate::wire::limits::{AEAD_TAG, DATA_HEADER, STATELESS_RESET};
use crate::wire::{self, SessionId};

// A reset is smaller than the datagram that causes it, and so within the amplification limit.
const _: () = assert!(STATELESS_RESET < DATA_HEADER + AEAD_TAG);

pub(super) struct LostSessions {
    by_id: HashMap<SessionId, LostSession>,
    /// Resets to send: the agent's session id, and the path.
    due: VecDeque<(SessionId, Path)>,
    start: Instant,
    until: Option<Instant>,
}

struct LostSession {
    controller: SessionId,
    token: ResetToken,
    reset_at: Instant,
}

impl LostSessions {
    /// Creates the table and schedules a reset of each session. Of more than [`limits::SESSIONS`] records the
    /// first ones are ignored.
    pub(super) fn new(now: Instant, records: &[ResetRecord]) -> Self {
        let records = &records[records.len().saturating_sub(limits::SESSIONS)..];
        let entry = |record: &ResetRecord| {
            let lost = LostSession {
                controller: record.controller,
                token: record.token,
                reset_at: now,
            };
            (record.agent, lost)
        };
        Self {
            by_id: records.iter().map(entry).collect(),
            due: records.iter().map(|r| (r.agent, r.path)).collect(),
            start: now,
            until: (!records.is_empty()).then_some(now + limits::IDLE),
        }
    }

    /// Handles DATA for a session that is not in the table of the endpoint. Its sender is not known, but one
    /// who has the session's id gains nothing by a reset.
    pub(super) fn on_data(&mut self, now: Instant, path: Path, receiver: SessionId) {
        if let Some(lost) = self.by_id.get_mut(&receiver)
            && now.since(lost.reset_at) >= limits::RESET_INTERVAL
        {
            lost.reset_at = now;
            self.due.push_back((receiver, path));
        }
    }

    /// Writes the next reset to `buf` and returns its path.
    pub(super) fn poll_transmit(&mut self, buf: &mut Vec<u8>) -> Option<Path> {
        while let Some((id, path)) = self.due.pop_front() {
            if let Some(lost) = self.by_id.get(&id) {
                wire::encode_stateless_reset(lost.controller, lost.token.bytes(), buf);
                return Some(path);
            }
        }
        None
    }

    /// Returns the time at which there is something to do: at once if resets are due, and then when the records
    /// are forgotten.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.due.is_empty() {
            self.until
        } else {
            Some(self.start)
        }
    }

    /// Forgets all records if their time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            *self = Self::new(now, &[]);
        }
    }
}
