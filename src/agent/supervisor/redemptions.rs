//! Invitations that are being redeemed: while another program changes the file of the keys, they wait for its lock.
//!
//! Invariant: nothing else waits for the lock, and the number of those that do is bounded.

use std::collections::VecDeque;

use super::policy::RedeemFailed;
use super::{Supervisor, limits};
use crate::agent::access::Controller;
use crate::agent::audit::{Event, Record};
use crate::agent::ipc::ToFront;
use crate::crypto::PublicKey;
use crate::peer_addr::PeerAddr;
use crate::time::Instant;
use crate::wire::limits::INVITE;

/// Request to list a key by its invitation.
pub struct Redemption {
    /// Number of the question.
    pub question: u64,
    /// The key.
    pub key: PublicKey,
    /// Address of its controller.
    pub address: PeerAddr,
    /// The invitation.
    pub invite: [u8; INVITE],
    /// Requested name.
    pub name: String,
}

/// Redemptions that wait for the lock, oldest first.
#[derive(Default)]
pub struct Redemptions {
    /// Each with the time at which it is given up.
    waiting: VecDeque<(Instant, Redemption)>,
    /// Time of the next attempt; only while some wait.
    retry: Option<Instant>,
}

impl Redemptions {
    /// Returns the time of the next attempt.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Forgets them, because the front that has asked is gone.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Supervisor {
    /// Processes a request of the front.
    pub(super) fn on_redeem(&mut self, now: Instant, redemption: Redemption) {
        if self.redemptions.waiting.len() >= limits::REDEMPTIONS {
            return self.answer_redemption(redemption.question, None);
        }
        let until = now + limits::REDEMPTION;
        self.redemptions.waiting.push_back((until, redemption));
        self.redeem_waiting(now);
    }

    /// Makes the next attempt if it is due.
    pub(super) fn retry_redemptions(&mut self, now: Instant) {
        if self.redemptions.retry.is_some_and(|at| at <= now) {
            self.redeem_waiting(now);
        }
    }

    /// Redeems those that wait, in their order, until the lock is held by another program.
    fn redeem_waiting(&mut self, now: Instant) {
        self.redemptions.retry = None;
        while let Some((until, redemption)) = self.redemptions.waiting.pop_front() {
            let Redemption { question, key, .. } = redemption;
            let redeemed = self
                .policy
                .redeem(&key, &redemption.invite, &redemption.name);
            match redeemed {
                Err(RedeemFailed::Locked) if now < until => {
                    self.redemptions.waiting.push_front((until, redemption));
                    self.redemptions.retry = Some(now + limits::REDEMPTION_RETRY);
                    return;
                }
                Err(RedeemFailed::Locked) => {
                    tracing::warn!("an invitation was refused: the file of the keys stays locked");
                    self.answer_redemption(question, None);
                }
                Err(RedeemFailed::Refused) => self.answer_redemption(question, None),
                Ok(name) => {
                    let controller = Controller {
                        key,
                        name: Some(name.clone()),
                        remote: redemption.address,
                    };
                    let record = Record::of_controller(&controller, Event::Registered {});
                    self.records.send(&record);
                    self.send_policy();
                    self.answer_redemption(question, Some(name));
                }
            }
        }
    }

    fn answer_redemption(&mut self, question: u64, name: Option<String>) {
        self.send(&ToFront::Redeemed { question, name });
    }
}
