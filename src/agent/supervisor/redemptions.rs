//! Invitations that are being redeemed, one after the other, by a [`Worker`], which waits for the lock while another
//! program changes the file of the keys.
//!
//! Invariants: nothing else waits for the lock, and the number of those that do is bounded; a key is told that it is
//! listed once the policy has it.

use std::collections::VecDeque;

use super::policy::unix_now;
use super::policy_worker::{self, Answer, Task, Worker};
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

/// Redemptions, oldest first.
#[derive(Default)]
pub struct Redemptions {
    waiting: VecDeque<Redemption>,
    /// The one in progress. Its question is `None` if the front that has asked is gone.
    active: Option<(Worker, Option<u64>, Controller)>,
    /// Process that has not answered in time, until it is gone.
    late: Option<i32>,
    /// Questions about keys that are listed, and their names, until the policy has them.
    listed: Vec<(u64, String)>,
}

impl Redemptions {
    /// Returns the time until which the one in progress is to be answered.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.active.as_ref().map(|active| active.0.deadline())
    }

    /// True if none is in progress.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && self.waiting.is_empty()
    }

    /// Forgets them, because the front that has asked is gone.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.listed.clear();
        if let Some((_, question, _)) = &mut self.active {
            *question = None;
        }
    }
}

impl Supervisor {
    /// Processes a request of the front.
    pub(super) fn on_redeem(&mut self, now: Instant, redemption: Redemption) {
        if self.redemptions.waiting.len() >= limits::REDEMPTIONS {
            return self.answer_redemption(redemption.question, None);
        }
        self.redemptions.waiting.push_back(redemption);
        self.redeem(now);
    }

    /// Takes the answer of the redemption in progress, and begins the next one.
    pub(super) fn redeem(&mut self, now: Instant) {
        let active = self.redemptions.active.as_mut();
        if let Some(answer) = active.and_then(|active| active.0.poll(now))
            && let Some((worker, question, controller)) = self.redemptions.active.take()
        {
            self.redemptions.late = worker.pid().filter(|_| answer.is_err());
            let result = answer.and_then(|answer| match answer {
                Answer::Redeemed(result) => result,
                Answer::Read { .. } => Err("no answer".to_owned()),
            });
            self.on_redeemed(now, question, controller, result);
        }
        while self.redemptions.active.is_none()
            && let Some(redemption) = self.redemptions.waiting.pop_front()
        {
            self.begin_redemption(now, redemption);
        }
    }

    fn begin_redemption(&mut self, now: Instant, redemption: Redemption) {
        let Redemption { question, key, .. } = redemption;
        let task = Task::Redeem {
            key,
            invite: redemption.invite,
            name: redemption.name,
            unix_now: unix_now(),
        };
        let remote = redemption.address;
        let name = None;
        let controller = Controller { key, name, remote };
        let late = self.redemptions.late;
        if late.is_some_and(|pid| self.predecessors.contains(&pid)) {
            // One process that hangs is enough.
            let reason = "the file system does not answer".to_owned();
            return self.on_redeemed(now, Some(question), controller, Err(reason));
        }
        let until = now + policy_worker::REDEMPTION;
        match self.start_worker(&task, until) {
            Some(Ok(worker)) => {
                self.redemptions.active = Some((worker, Some(question), controller));
            }
            Some(Err(error)) => {
                self.on_redeemed(now, Some(question), controller, Err(error.to_string()));
            }
            None => self.answer_redemption(question, None),
        }
    }

    fn on_redeemed(
        &mut self,
        now: Instant,
        question: Option<u64>,
        mut controller: Controller,
        result: Result<String, String>,
    ) {
        match result {
            Ok(name) => {
                controller.name = Some(name);
                let record = Record::of_controller(&controller, Event::Registered {});
                self.records.send(&record);
                self.redemptions
                    .listed
                    .extend(question.zip(controller.name));
                self.read_policy(now);
            }
            Err(reason) => {
                tracing::warn!("an invitation was refused: {reason}");
                if let Some(question) = question {
                    self.answer_redemption(question, None);
                }
            }
        }
    }

    /// Answers about the keys that are listed now.
    pub(super) fn answer_redeemed(&mut self) {
        for (question, name) in std::mem::take(&mut self.redemptions.listed) {
            self.answer_redemption(question, Some(name));
        }
    }

    fn answer_redemption(&mut self, question: u64, name: Option<String>) {
        self.send(&ToFront::Redeemed { question, name });
    }
}
