//! `udpctl send`: one message to one agent or many, with a receipt from each.
//!
//! One thin loop over as many [`ChatClient`]s as are allowed at once. Invariant: every host is named with what
//! became of the message there; silence never counts as delivery.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, select};

use super::chat::client::{Action, ChatClient, Config, End, Purpose};
use super::client::Client;
use super::contact::Contact;
use super::host_resolver::{Host, HostResolver};
use super::limits;
use crate::crypto::PublicKey;
use crate::net::Event;

/// What sending needs beside its hosts.
pub struct Options<'a> {
    /// How long an agent that does not answer is waited for.
    pub contact_timeout: std::time::Duration,
    /// Signals that ask to stop.
    pub signals: &'a Receiver<i32>,
    /// Where agents are remembered.
    pub resolver: &'a HostResolver,
}

/// What became of the message at one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The host, as the user typed it.
    pub label: String,
    /// To how many members of its chat the agent has passed the message on, or why nothing is known.
    pub delivered: Result<u32, End>,
}

/// Sends `text` to all hosts, [`limits::WINDOW`] at a time, and hands over each receipt as soon as there
/// is one. Hosts that have not answered when a signal comes are [`End::Left`].
pub fn send(
    client: &Client,
    hosts: Vec<Host>,
    text: &str,
    options: &Options<'_>,
    mut told: impl FnMut(Receipt),
) {
    let mut round = Round {
        client,
        text,
        options,
        waiting: (0..).zip(hosts).collect(),
        talks: HashMap::new(),
        receipts: Vec::new(),
    };
    loop {
        round.start();
        round.receipts.drain(..).for_each(&mut told);
        if round.talks.is_empty() && round.waiting.is_empty() {
            return;
        }
        select! {
            recv(client.events()) -> event => match event {
                Ok(Event::Session(event)) => {
                    client.taken();
                    round.on_event(event);
                }
                Ok(_) => client.taken(),
                Err(_) => round.give_up(&End::Lost),
            },
            recv(options.signals) -> _ => round.give_up(&End::Left),
        }
    }
}

struct Round<'a> {
    client: &'a Client,
    text: &'a str,
    options: &'a Options<'a>,
    waiting: VecDeque<(u32, Host)>,
    talks: HashMap<u32, Sending>,
    receipts: Vec<Receipt>,
}

struct Sending {
    chat: ChatClient,
    label: String,
    agent: PublicKey,
    members: Option<u32>,
}

impl Round<'_> {
    fn start(&mut self) {
        while self.talks.len() < limits::WINDOW {
            let Some((slot, host)) = self.waiting.pop_front() else {
                return;
            };
            let chat = ChatClient::new(Config {
                slot,
                purpose: Purpose::Send {
                    text: self.text.to_owned(),
                },
                agent: host.agent,
                paths: host.paths,
                ticket: host.ticket,
                contact_timeout: self.options.contact_timeout,
            });
            let sending = Sending {
                chat,
                label: host.label,
                agent: host.agent,
                members: None,
            };
            self.talks.insert(slot, sending);
            self.act(slot);
        }
    }

    fn on_event(&mut self, event: crate::session::Event) {
        let Some(session) = event.session() else {
            return;
        };
        let slot = Contact::slot_of(session);
        if let Some(sending) = self.talks.get_mut(&slot) {
            sending.chat.on_event(event);
            self.act(slot);
        }
    }

    fn act(&mut self, slot: u32) {
        let Some(sending) = self.talks.get_mut(&slot) else {
            return;
        };
        while let Some(action) = sending.chat.poll() {
            match action {
                Action::Command(command) => self.client.send(command),
                Action::Learned(ticket) => self.options.resolver.learn(&sending.agent, &ticket),
                Action::Delivered { members, .. } => sending.members = Some(members),
                Action::Ended(end) => {
                    let sending = self.talks.remove(&slot).expect("it was just there");
                    self.receipts.push(Receipt {
                        label: sending.label,
                        delivered: sending.members.ok_or(end),
                    });
                    return;
                }
                Action::Heard(_) | Action::Refused { .. } | Action::Silent | Action::Back => {}
            }
        }
    }

    /// Ends it for all hosts that have not answered.
    fn give_up(&mut self, why: &End) {
        let slots: Vec<u32> = self.talks.keys().copied().collect();
        for slot in slots {
            if let Some(sending) = self.talks.get_mut(&slot) {
                sending.chat.leave_now();
            }
            self.act(slot);
        }
        for (_, host) in self.waiting.drain(..) {
            self.receipts.push(Receipt {
                label: host.label,
                delivered: Err(why.clone()),
            });
        }
    }
}
