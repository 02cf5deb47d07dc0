//! Registration of an invited key. The answer may come later, from the process that has the files.
//!
//! Invariant: a call gets one answer, and a question that its call does not wait for any more changes nothing.

use super::Service;
use crate::agent::access::{Controller, Denied, PolicySource, Registration, name_apart};
use crate::agent::jobs::Processes;
use crate::agent::note::Note;
use crate::agent::outbox::CallRef;
use crate::crypto::PublicKey;
use crate::message::Reply;
use crate::peer_addr::PeerAddr;
use crate::wire::limits::INVITE;

/// A question whether an invited key is to be listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Number, for [`Service::on_registered`].
    pub number: u64,
    /// The key.
    pub key: PublicKey,
    /// Address of its controller.
    pub address: PeerAddr,
    /// The invitation.
    pub invite: [u8; INVITE],
    /// Requested name.
    pub name: String,
}

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Processes a request for registration.
    pub(super) fn register(
        &mut self,
        call: CallRef,
        controller: &Controller,
        invite: Option<[u8; INVITE]>,
        requested: &str,
    ) {
        match (&controller.name, invite) {
            (Some(name), _) => {
                let reply = Reply::Registered {
                    name: name.clone(),
                    agent: self.name.clone(),
                    listed: true,
                };
                let controller = controller.clone();
                self.notes.push_back(Note::AlreadyListed { controller });
                self.answer(call, &reply);
            }
            (None, Some(invite)) => {
                // The agent's own user has this name in the chat.
                let requested = name_apart(requested, &self.name);
                self.register_as(call, controller, invite, requested);
            }
            (None, None) => self.on_decided(call, controller.clone(), None),
        }
    }

    fn register_as(
        &mut self,
        call: CallRef,
        controller: &Controller,
        invite: [u8; INVITE],
        requested: String,
    ) {
        let key = controller.key;
        match self.policy.register(&key, &invite, &requested) {
            Registration::Decided(decided) => {
                self.on_decided(call, controller.clone(), decided.ok());
            }
            Registration::Asked => {
                let number = self.next_question;
                self.next_question += 1;
                self.asking.insert(number, (call, controller.clone()));
                self.questions.push_back(Question {
                    number,
                    key,
                    address: controller.remote,
                    invite,
                    name: requested,
                });
            }
        }
    }

    /// Returns the next question to answer by [`on_registered`](Self::on_registered).
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// Processes the answer to a question: the name under which the key is listed, or `None` if it is not. The policy
    /// contains the key by now.
    pub fn on_registered(&mut self, question: u64, name: Option<String>) {
        if let Some((call, controller)) = self.asking.remove(&question) {
            self.on_decided(call, controller, name);
        }
    }

    fn on_decided(&mut self, call: CallRef, mut controller: Controller, name: Option<String>) {
        let Some(name) = name else {
            self.jobs.record_denial(&controller, &Denied::NotInvited);
            self.answer(call, &Reply::Denied {});
            return;
        };
        controller.name = Some(name.clone());
        self.jobs.record_registration(&controller);
        self.notes.push_back(Note::Registered { controller });
        if let Some(state) = self.sessions.get_mut(&call.session) {
            state.controller.name = Some(name.clone());
        }
        let agent = self.name.clone();
        let listed = false;
        self.answer(
            call,
            &Reply::Registered {
                name,
                agent,
                listed,
            },
        );
    }
}
